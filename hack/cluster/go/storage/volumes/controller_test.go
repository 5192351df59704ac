package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func unformatted(string) error { return nil }

func newController(t *testing.T) *controller {
	t.Helper()
	return &controller{images: images{t.TempDir()}, format: unformatted}
}

func on(nodes ...string) []*csi.Topology {
	var terms []*csi.Topology
	for _, node := range nodes {
		terms = append(terms, &csi.Topology{Segments: map[string]string{topologyKey: node}})
	}
	return terms
}

func capability() *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{
			Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
		},
	}
}

func wanted(size int64) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name:               "pvc-1",
		CapacityRange:      &csi.CapacityRange{RequiredBytes: size},
		VolumeCapabilities: []*csi.VolumeCapability{capability()},
		AccessibilityRequirements: &csi.TopologyRequirement{
			Requisite: on("node1", "node2"), Preferred: on("node2", "node1"),
		},
	}
}

func create(t *testing.T, c *controller, request *csi.CreateVolumeRequest) *csi.Volume {
	t.Helper()
	answer, err := c.CreateVolume(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetVolume()
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("got %v, want %v", err, code)
	}
}

func TestAVolumeLiesOnThePreferredNode(t *testing.T) {
	c := newController(t)

	volume := create(t, c, wanted(400*mebibyte))

	if node := volume.GetAccessibleTopology()[0].GetSegments()[topologyKey]; node != "node2" {
		t.Fatalf("on %s", node)
	}
	found, err := os.Stat(filepath.Join(c.images.folder, "node2", "pvc-1.img"))
	if err != nil || found.Size() != 400*mebibyte {
		t.Fatal(found, err)
	}
}

func TestAVolumeIsMadeOnceHoweverOftenItIsAskedFor(t *testing.T) {
	c := newController(t)
	formatted := 0
	c.format = func(string) error { formatted++; return nil }

	first := create(t, c, wanted(400*mebibyte))
	second := create(t, c, wanted(400*mebibyte))
	_, err := c.CreateVolume(context.Background(), wanted(401*mebibyte))

	if formatted != 1 || first.String() != second.String() {
		t.Fatal(formatted, first, second)
	}
	wantCode(t, err, codes.AlreadyExists)
}

func TestAVolumeOnANodeThatIsNotAllowedIsNotTaken(t *testing.T) {
	c := newController(t)
	create(t, c, wanted(400*mebibyte))

	request := wanted(400 * mebibyte)
	request.AccessibilityRequirements = &csi.TopologyRequirement{Requisite: on("node3")}
	_, err := c.CreateVolume(context.Background(), request)

	wantCode(t, err, codes.AlreadyExists)
}

func TestAFailedFormatLeavesNothing(t *testing.T) {
	c := newController(t)
	c.format = func(string) error { return errors.New("no mkfs here") }

	_, err := c.CreateVolume(context.Background(), wanted(400*mebibyte))

	wantCode(t, err, codes.Internal)
	left, _ := os.ReadDir(filepath.Join(c.images.folder, "node2"))
	if len(left) != 0 {
		t.Fatal(left)
	}
}

func TestWhatAKilledControllerLeftIsSwept(t *testing.T) {
	c := newController(t)
	create(t, c, wanted(400*mebibyte))
	folder := filepath.Join(c.images.folder, "node2")
	if err := os.WriteFile(filepath.Join(folder, ".pvc-2.new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	err := c.images.sweep()

	left, _ := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "pvc-1.img" {
		t.Fatal(left, err)
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	block, shared, ext4 := capability(), capability(), capability()
	block.AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
	shared.AccessMode.Mode = csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
	ext4.GetMount().FsType = "ext4"
	for title, change := range map[string]func(*csi.CreateVolumeRequest){
		"escape":      func(r *csi.CreateVolumeRequest) { r.Name = "../pvc-1" },
		"pattern":     func(r *csi.CreateVolumeRequest) { r.Name = "*" },
		"no topology": func(r *csi.CreateVolumeRequest) { r.AccessibilityRequirements = nil },
		"no use":      func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = nil },
		"block":       func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = block },
		"shared":      func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = shared },
		"ext4":        func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = ext4 },
		"clone":       func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = &csi.VolumeContentSource{} },
	} {
		t.Run(title, func(t *testing.T) {
			request := wanted(400 * mebibyte)
			change(request)

			_, err := newController(t).CreateVolume(context.Background(), request)

			wantCode(t, err, codes.InvalidArgument)
		})
	}
}

func TestAVolumeIsDeletedHoweverOftenItIsAskedFor(t *testing.T) {
	c := newController(t)
	create(t, c, wanted(400*mebibyte))

	for _, volume := range []string{"pvc-1", "pvc-1", "../node2/pvc-1", "of another driver"} {
		_, err := c.DeleteVolume(context.Background(), &csi.DeleteVolumeRequest{VolumeId: volume})
		wantCode(t, err, codes.OK)
	}

	_, _, err := c.images.find("pvc-1")
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func expand(c *controller, limits *csi.CapacityRange) (*csi.ControllerExpandVolumeResponse, error) {
	request := &csi.ControllerExpandVolumeRequest{VolumeId: "pvc-1", CapacityRange: limits}
	return c.ControllerExpandVolume(context.Background(), request)
}

func TestADiskGrowsAndNeverShrinks(t *testing.T) {
	c := newController(t)
	create(t, c, wanted(400*mebibyte))

	for _, size := range []int64{800, 800, 400} {
		answer, err := expand(c, &csi.CapacityRange{RequiredBytes: size * mebibyte})

		if err != nil || answer.GetCapacityBytes() != 800*mebibyte || !answer.GetNodeExpansionRequired() {
			t.Fatal(size, answer, err)
		}
		if _, found, _ := c.images.find("pvc-1"); found != 800*mebibyte {
			t.Fatal(found)
		}
	}
}

func TestAnExpansionThatCannotBeIsRefused(t *testing.T) {
	c := newController(t)

	_, err := expand(c, &csi.CapacityRange{RequiredBytes: 800 * mebibyte})
	wantCode(t, err, codes.NotFound)

	create(t, c, wanted(400*mebibyte))
	_, err = expand(c, &csi.CapacityRange{RequiredBytes: mebibyte, LimitBytes: 350 * mebibyte})
	wantCode(t, err, codes.OutOfRange)
}

func TestSizesAreWholeMebibytesWithinTheLimits(t *testing.T) {
	for _, each := range []struct{ required, limit, want int64 }{
		{0, 0, defaultSize},
		{0, 500*mebibyte + 1, 500 * mebibyte},
		{1, 0, minimumSize},
		{400 * mebibyte, 400 * mebibyte, 400 * mebibyte},
		{400*mebibyte + 1, 0, 401 * mebibyte},
		{400*mebibyte + 1, 400*mebibyte + 2, -1},
		{0, 299 * mebibyte, -1},
		{-1, 0, -1},
	} {
		limits := &csi.CapacityRange{RequiredBytes: each.required, LimitBytes: each.limit}

		size, err := sizeWithin(limits, defaultSize)

		if err != nil {
			size = -1
		}
		if size != each.want {
			t.Errorf("%v: got %d (%v), want %d", limits, size, err, each.want)
		}
	}
}
