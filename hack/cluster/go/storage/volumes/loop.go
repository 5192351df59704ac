package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	loopMajor = 7
	attempts  = 20
)

// Loop devices belong to the whole machine, so each is attached with the flag that makes the kernel
// detach it when its last user is gone: a mount, or a process that has it open. Whatever is killed,
// with the namespaces that hold the mounts nothing of it stays.

// attach returns an open loop device of an image. It stays attached while the file is open, or
// mounted. An image never gets a second one: two file systems on one disk would destroy each other.
func attach(image string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if device, err := attached(file); device != nil || err != nil {
		return device, err
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range attempts {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		device, err := configure(fmt.Sprintf("/dev/loop%d", number), file)
		if !errors.Is(err, unix.EBUSY) {
			return device, err
		}
	}
	return nil, fmt.Errorf("others took every loop device that was free, %d times", attempts)
}

func configure(path string, image *os.File) (*os.File, error) {
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(image.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], image.Name())
	if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("attach %s to %s: %w", image.Name(), path, err), device.Close())
	}
	return device, nil
}

// attached returns the loop device that an image is attached to, open, or nil.
func attached(image *os.File) (*os.File, error) {
	paths, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		// To read: the device may be another program's, and read-only.
		device, err := os.Open("/dev/" + filepath.Base(filepath.Dir(path)))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) {
			continue // detached a moment ago
		}
		if err != nil {
			return nil, err
		}
		if same, err := holds(device, image); same || err != nil {
			return device, err
		}
		device.Close()
	}
	return nil, nil
}

// holds tells whether a loop device is attached to an image.
func holds(device, image *os.File) (bool, error) {
	info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
	if errors.Is(err, unix.ENXIO) {
		return false, nil // attached to nothing
	}
	if err != nil {
		return false, fmt.Errorf("ask %s what it is attached to: %w", device.Name(), err)
	}
	var status unix.Stat_t
	if err := unix.Fstat(int(image.Fd()), &status); err != nil {
		return false, err
	}
	return info.Inode == status.Ino && info.Device == status.Dev, nil
}

// mountedFrom returns the loop device, open, if a path lies on the file system of an image; else nil.
func mountedFrom(path, image string) (*os.File, error) {
	var status unix.Stat_t
	if err := unix.Stat(path, &status); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if unix.Major(status.Dev) != loopMajor {
		return nil, nil
	}
	file, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	device, err := os.Open(fmt.Sprintf("/dev/loop%d", unix.Minor(status.Dev)))
	if err != nil {
		return nil, err
	}
	if same, err := holds(device, file); !same || err != nil {
		return nil, errors.Join(err, device.Close())
	}
	return device, nil
}

// enlarge makes a loop device as large as its image, and the file system mounted from it as large as
// the device; harmless when they are.
func enlarge(device *os.File, path string) error {
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("enlarge %s: %w", device.Name(), err)
	}
	return command("xfs_growfs", "-d", path)
}
