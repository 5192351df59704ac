package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const fileSystem = "xfs"

var errNotStaged = errors.New("the volume is not staged")

// stage mounts the file system of an image; harmless when it is mounted there.
func stage(image, path string, options []string) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	device, err := mountedFrom(path, image)
	if err != nil {
		return err
	}
	if device != nil {
		return device.Close()
	}
	if device, err = attach(image); err != nil {
		return err
	}
	// Until it is mounted, the open file is all that keeps the device attached.
	defer device.Close()
	return mount(device.Name(), path, append([]string{"rw"}, options...), "-t", fileSystem)
}

// publish shows the file system that is mounted at `from` at `to`, too; harmless when it is there.
func publish(image, from, to string, options []string) error {
	staged, err := mountedFrom(from, image)
	if errors.Is(err, fs.ErrNotExist) || err == nil && staged == nil {
		return errNotStaged
	}
	if err != nil {
		return err
	}
	defer staged.Close()
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	published, err := mountedFrom(to, image)
	if err != nil {
		return err
	}
	if published != nil {
		return published.Close()
	}
	return mount(from, to, append([]string{"bind"}, options...))
}

func mount(what, where string, options []string, more ...string) error {
	return command("mount", append(more, "-o", strings.Join(options, ","), what, where)...)
}

// unmount takes away every mount at a path; harmless when there is none, or no such path.
func unmount(path string) error {
	for {
		err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist) {
			return nil // not a mount
		}
		if err != nil {
			return &fs.PathError{Op: "unmount", Path: path, Err: err}
		}
	}
}
