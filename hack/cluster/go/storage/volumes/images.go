package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	suffix     = ".img"
	unfinished = ".new"
)

var name = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`)

// validName tells whether a text may be part of a path: the name of a volume, or of a node.
func validName(text string) bool {
	return len(text) < 200 && name.MatchString(text) && !strings.Contains(text, "..")
}

// images are the disks of all nodes: the file NODE/VOLUME.img below one folder. It is reached by the
// controller and by the nodes alike, as they are namespaces of one machine and share its file system.
// This is what a network with real disks behind it would be elsewhere, and why the controller can
// delete an image that lies on a node, even if that node is down.
type images struct {
	folder string
}

func imagePath(folder, volume string) string {
	return filepath.Join(folder, volume+suffix)
}

// find returns the node and the size of a volume, or fs.ErrNotExist.
func (i images) find(volume string) (string, int64, error) {
	paths, err := filepath.Glob(imagePath(filepath.Join(i.folder, "*"), volume))
	if err != nil {
		return "", 0, err
	}
	if len(paths) == 0 {
		return "", 0, fmt.Errorf("volume %s: %w", volume, fs.ErrNotExist)
	}
	status, err := os.Stat(paths[0])
	if err != nil {
		return "", 0, err
	}
	return filepath.Base(filepath.Dir(paths[0])), status.Size(), nil
}

// sweep removes what a killed controller left of images that it was making.
func (i images) sweep() error {
	paths, err := filepath.Glob(filepath.Join(i.folder, "*", ".*"+unfinished))
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// create makes an image with a file system. It appears when it is complete; no node ever formats
// anything.
func (i images) create(volume, node string, size int64, format func(string) error) error {
	folder := filepath.Join(i.folder, node)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	scratch := filepath.Join(folder, "."+volume+unfinished)
	file, err := os.OpenFile(scratch, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(file.Truncate(size), file.Close())
	if err == nil {
		err = format(scratch)
	}
	if err == nil {
		err = os.Rename(scratch, imagePath(folder, volume))
	}
	if err != nil {
		return errors.Join(err, os.Remove(scratch))
	}
	return nil
}

// grow makes the disk larger; the file system on it follows when the node is told.
func (i images) grow(volume, node string, size int64) error {
	return os.Truncate(imagePath(filepath.Join(i.folder, node), volume), size)
}

// remove deletes an image. On a node that still has it mounted its blocks last until the unmount.
func (i images) remove(volume, node string) error {
	return os.Remove(imagePath(filepath.Join(i.folder, node), volume))
}

// format puts a file system on an image.
func format(path string) error {
	return command("mkfs.xfs", "-q", path)
}

func command(name string, arguments ...string) error {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(output)))
	}
	return nil
}
