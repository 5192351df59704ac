// Command smbpctl-volumes is a CSI driver for test clusters whose nodes are namespaces of one
// machine. A volume is a file system in a sparse image file, mounted through a loop device, so that
// expansion is real: the disk grows first, the file system on it when the node is told. It is XFS,
// because the kernel lets a mounted ext4 grow only for a root with CAP_SYS_RESOURCE, which root in a
// container or on a CI machine often has not.
//
// It runs once beside the control plane (--mode=controller), where it makes, grows and deletes
// images, and once on each node (--mode=node), where it mounts them and registers with the kubelet.
// Nothing is remembered but in the images themselves and in the kernel's mounts: either process may
// be killed and started again at any moment.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

type settings struct {
	mode, socket, dataDir, node, registrationDir string
}

func main() {
	var s settings
	flag.StringVar(&s.mode, "mode", "", "controller or node")
	flag.StringVar(&s.socket, "socket", "", "Unix socket to serve CSI on")
	flag.StringVar(&s.dataDir, "data-dir", "",
		"node: folder of its images; controller: folder that holds the folders of all nodes")
	flag.StringVar(&s.node, "node", "", "node: its name in Kubernetes")
	flag.StringVar(&s.registrationDir, "registration-dir", "",
		"node: where the kubelet looks for sockets of plugins")
	flag.Parse()
	// Where the tools for file systems are, but not the PATH of everyone.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if err := s.check(); err != nil {
		fmt.Fprintln(os.Stderr, "smbpctl-volumes:", err)
		os.Exit(2)
	}
	if err := run(s); err != nil {
		log.Fatal(err)
	}
}

func (s settings) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case s.mode != "controller" && s.mode != "node":
		return fmt.Errorf("--mode=%q: want controller or node", s.mode)
	case !filepath.IsAbs(s.socket) || !filepath.IsAbs(s.dataDir):
		return errors.New("--socket and --data-dir must be given, as absolute paths")
	case s.mode == "node" && (!validName(s.node) || !filepath.IsAbs(s.registrationDir)):
		return errors.New("--mode=node needs --node=NAME and an absolute --registration-dir")
	}
	return nil
}

// run serves until SIGTERM or SIGINT, or until a server or the registration fails.
func run(s settings) error {
	server := grpc.NewServer(grpc.UnaryInterceptor(logged))
	csi.RegisterIdentityServer(server, identity{})
	failed := make(chan error, 3)
	if s.mode == "controller" {
		disks := images{s.dataDir}
		if err := disks.sweep(); err != nil {
			return err
		}
		csi.RegisterControllerServer(server, &controller{images: disks, format: format})
	} else {
		csi.RegisterNodeServer(server, &node{name: s.node, folder: s.dataDir})
	}
	if err := os.MkdirAll(s.dataDir, 0o755); err != nil {
		return err
	}
	if err := serve(server, s.socket, failed); err != nil {
		return err
	}
	defer server.Stop()
	if s.mode == "node" {
		// Only now: the kubelet asks at the driver's socket as soon as it sees this one.
		kubelet := grpc.NewServer()
		registration.RegisterRegistrationServer(kubelet, registrar{endpoint: s.socket, failed: failed})
		socket := filepath.Join(s.registrationDir, driverName+"-reg.sock")
		if err := serve(kubelet, socket, failed); err != nil {
			return err
		}
		defer kubelet.Stop()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-failed:
		return err
	case <-stop:
		return nil
	}
}

// serve starts to serve on a Unix socket, in place of one that a killed driver left.
func serve(server *grpc.Server, socket string, failed chan<- error) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	go func() { failed <- server.Serve(listener) }()
	return nil
}

func logged(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	answer, err := handle(ctx, request)
	if err != nil {
		log.Printf("%s {%v}: %v", info.FullMethod, request, err)
	} else if info.FullMethod != csi.Node_NodeGetVolumeStats_FullMethodName {
		log.Printf("%s {%v}: {%v}", info.FullMethod, request, answer)
	}
	return answer, err
}
