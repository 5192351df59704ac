package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	mebibyte    = int64(1) << 20
	minimumSize = 300 * mebibyte // of XFS
	defaultSize = 1024 * mebibyte
)

// controller makes, grows and deletes volumes, one at a time.
type controller struct {
	csi.UnimplementedControllerServer
	images images
	format func(path string) error
	mutex  sync.Mutex
}

func (*controller) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	answer := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
	} {
		rpc := &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: kind}}
		answer.Capabilities = append(answer.Capabilities, &csi.ControllerServiceCapability{Type: rpc})
	}
	return answer, nil
}

// CreateVolume makes a volume on the node that was chosen for its first pod.
func (c *controller) CreateVolume(
	_ context.Context, request *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	if !validName(request.GetName()) {
		return nil, status.Errorf(codes.InvalidArgument, "not a volume's name: %q", request.GetName())
	}
	if err := supported(request.GetVolumeCapabilities()); err != nil {
		return nil, err
	}
	if request.GetVolumeContentSource() != nil {
		return nil, status.Error(codes.InvalidArgument, "volumes cannot be made from others")
	}
	size, err := sizeWithin(request.GetCapacityRange(), defaultSize)
	if err != nil {
		return nil, err
	}
	nodes := candidates(request.GetAccessibilityRequirements())
	if len(nodes) == 0 {
		return nil, status.Errorf(codes.InvalidArgument, "no topology names a %s", topologyKey)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	node, found, err := c.images.find(request.GetName())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		node, found = nodes[0], size
		err = c.images.create(request.GetName(), node, size, c.format)
	case err == nil && !(slices.Contains(nodes, node) && fits(found, request.GetCapacityRange())):
		return nil, status.Errorf(codes.AlreadyExists, "is on %s already, with %d bytes", node, found)
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId:           request.GetName(),
		CapacityBytes:      found,
		AccessibleTopology: []*csi.Topology{{Segments: map[string]string{topologyKey: node}}},
	}}, nil
}

// DeleteVolume deletes a volume with its data; one that does not exist is deleted.
func (c *controller) DeleteVolume(
	_ context.Context, request *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	volume := request.GetVolumeId()
	if volume == "" {
		return nil, status.Error(codes.InvalidArgument, "no volume is named")
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	node, _, err := c.find(volume)
	if status.Code(err) == codes.NotFound {
		return &csi.DeleteVolumeResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := c.images.remove(volume, node); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// ControllerExpandVolume makes the disk larger, never smaller, and asks for the node's part.
func (c *controller) ControllerExpandVolume(
	_ context.Context, request *csi.ControllerExpandVolumeRequest,
) (*csi.ControllerExpandVolumeResponse, error) {
	volume := request.GetVolumeId()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	node, found, err := c.find(volume)
	if err != nil {
		return nil, err
	}
	size, err := sizeWithin(request.GetCapacityRange(), found)
	if err != nil {
		return nil, err
	}
	if size = max(size, found); !fits(size, request.GetCapacityRange()) {
		return nil, status.Errorf(codes.OutOfRange, "volume %s has %d bytes already", volume, found)
	}
	if err := c.images.grow(volume, node, size); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: size, NodeExpansionRequired: true}, nil
}

// ValidateVolumeCapabilities tells whether a volume can be used as asked for.
func (c *controller) ValidateVolumeCapabilities(
	_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if _, _, err := c.find(request.GetVolumeId()); err != nil {
		return nil, err
	}
	wanted := request.GetVolumeCapabilities()
	if err := supported(wanted); err != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: err.Error()}, nil
	}
	confirmed := &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: wanted}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: confirmed}, nil
}

// find returns node and size of a volume; its errors are ready to be answered.
func (c *controller) find(volume string) (string, int64, error) {
	if !validName(volume) {
		return "", 0, status.Errorf(codes.NotFound, "not one of our volumes: %q", volume)
	}
	node, size, err := c.images.find(volume)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return "", 0, status.Error(codes.Internal, err.Error())
	}
	return node, size, nil
}

// supported refuses what one local file system cannot be.
func supported(capabilities []*csi.VolumeCapability) error {
	if len(capabilities) == 0 {
		return status.Error(codes.InvalidArgument, "no capability is asked for")
	}
	for _, each := range capabilities {
		if each.GetMount() == nil {
			return status.Error(codes.InvalidArgument, "only file systems, no raw block devices")
		}
		if kind := each.GetMount().GetFsType(); kind != "" && kind != fileSystem {
			return status.Errorf(codes.InvalidArgument, "only %s, not %s", fileSystem, kind)
		}
		switch each.GetAccessMode().GetMode() {
		case csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
			csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY:
		default:
			return status.Error(codes.InvalidArgument, "only one node at a time")
		}
	}
	return nil
}

// sizeWithin returns the smallest whole number of mebibytes that a range allows.
func sizeWithin(limits *csi.CapacityRange, otherwise int64) (int64, error) {
	if limits.GetRequiredBytes() < 0 || limits.GetLimitBytes() < 0 {
		return 0, status.Error(codes.InvalidArgument, "a size is negative")
	}
	size := limits.GetRequiredBytes()
	if size == 0 {
		size = otherwise
		if limit := limits.GetLimitBytes(); limit > 0 {
			size = min(size, limit/mebibyte*mebibyte)
		}
	}
	size = max(minimumSize, (size+mebibyte-1)/mebibyte*mebibyte)
	if limit := limits.GetLimitBytes(); limit > 0 && size > limit {
		return 0, status.Errorf(codes.OutOfRange, "%d bytes are the least that is possible", size)
	}
	return size, nil
}

// fits tells whether an existing volume's size lies in a range.
func fits(size int64, limits *csi.CapacityRange) bool {
	limit := limits.GetLimitBytes()
	return size >= limits.GetRequiredBytes() && (limit == 0 || size <= limit)
}

// candidates returns the nodes that a requirement allows, those it prefers first.
func candidates(requirement *csi.TopologyRequirement) []string {
	var nodes []string
	for _, terms := range [][]*csi.Topology{requirement.GetPreferred(), requirement.GetRequisite()} {
		for _, term := range terms {
			if node := term.GetSegments()[topologyKey]; validName(node) {
				nodes = append(nodes, node)
			}
		}
	}
	return nodes
}
