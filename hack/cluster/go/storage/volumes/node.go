package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// node mounts the volumes of one node, one at a time.
type node struct {
	csi.UnimplementedNodeServer
	name   string
	folder string
	mutex  sync.Mutex
}

func (*node) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	answer := &csi.NodeGetCapabilitiesResponse{}
	for _, kind := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
	} {
		rpc := &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: kind}}
		answer.Capabilities = append(answer.Capabilities, &csi.NodeServiceCapability{Type: rpc})
	}
	return answer, nil
}

func (n *node) NodeGetInfo(
	context.Context, *csi.NodeGetInfoRequest,
) (*csi.NodeGetInfoResponse, error) {
	here := &csi.Topology{Segments: map[string]string{topologyKey: n.name}}
	return &csi.NodeGetInfoResponse{NodeId: n.name, AccessibleTopology: here}, nil
}

// NodeStageVolume mounts the volume's file system where the kubelet keeps one mount for all pods.
func (n *node) NodeStageVolume(
	_ context.Context, request *csi.NodeStageVolumeRequest,
) (*csi.NodeStageVolumeResponse, error) {
	if err := supported([]*csi.VolumeCapability{request.GetVolumeCapability()}); err != nil {
		return nil, err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	image, err := n.image(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	options := request.GetVolumeCapability().GetMount().GetMountFlags()
	if err := stage(image, request.GetStagingTargetPath(), options); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeStageVolumeResponse{}, nil
}

// NodeUnstageVolume needs no image: it may have been deleted already.
func (n *node) NodeUnstageVolume(
	_ context.Context, request *csi.NodeUnstageVolumeRequest,
) (*csi.NodeUnstageVolumeResponse, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if err := unmount(request.GetStagingTargetPath()); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}

// NodePublishVolume shows the staged file system to a pod.
func (n *node) NodePublishVolume(
	_ context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	image, err := n.image(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	options := request.GetVolumeCapability().GetMount().GetMountFlags()
	if request.GetReadonly() {
		options = append(slices.Clone(options), "ro")
	}
	err = publish(image, request.GetStagingTargetPath(), request.GetTargetPath(), options)
	if errors.Is(err, errNotStaged) {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// NodeUnpublishVolume takes the file system away from a pod, and the folder it was shown in.
func (n *node) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	err := unmount(request.GetTargetPath())
	if err == nil {
		// Only an empty folder can go this way.
		err = os.Remove(request.GetTargetPath())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// NodeExpandVolume lets the mounted file system fill the disk, which the controller enlarged.
func (n *node) NodeExpandVolume(
	_ context.Context, request *csi.NodeExpandVolumeRequest,
) (*csi.NodeExpandVolumeResponse, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	image, err := n.image(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	device, err := mountedFrom(request.GetVolumePath(), image)
	if errors.Is(err, fs.ErrNotExist) || err == nil && device == nil {
		path := request.GetVolumePath()
		return nil, status.Errorf(codes.NotFound, "%s is not mounted at %q", request.GetVolumeId(), path)
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	defer device.Close()
	if err := enlarge(device, request.GetVolumePath()); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	size, err := os.Stat(image)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: size.Size()}, nil
}

// NodeGetVolumeStats tells how full a file system is.
func (n *node) NodeGetVolumeStats(
	_ context.Context, request *csi.NodeGetVolumeStatsRequest,
) (*csi.NodeGetVolumeStatsResponse, error) {
	var found unix.Statfs_t
	err := unix.Statfs(request.GetVolumePath(), &found)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, status.Errorf(codes.NotFound, "no folder %q", request.GetVolumePath())
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	block := int64(found.Bsize)
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{
			Unit:      csi.VolumeUsage_BYTES,
			Total:     int64(found.Blocks) * block,
			Used:      int64(found.Blocks-found.Bfree) * block,
			Available: int64(found.Bavail) * block,
		},
		{
			Unit:      csi.VolumeUsage_INODES,
			Total:     int64(found.Files),
			Used:      int64(found.Files - found.Ffree),
			Available: int64(found.Ffree),
		},
	}}, nil
}

// image returns the path of a volume's image on this node; its errors are ready to be answered.
func (n *node) image(volume string) (string, error) {
	if !validName(volume) {
		return "", status.Errorf(codes.NotFound, "not one of our volumes: %q", volume)
	}
	path := imagePath(n.folder, volume)
	if _, err := os.Stat(path); err != nil {
		return "", status.Errorf(codes.NotFound, "no volume %s on %s: %v", volume, n.name, err)
	}
	return path, nil
}
