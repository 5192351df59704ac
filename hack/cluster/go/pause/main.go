// Command pause keeps the namespaces of a pod: it does nothing until it is told to end.
//
// In a pod with a shared process namespace it is process 1, to which orphans are given; it collects
// them, so that they do not stay as zombies.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end, ended := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(ended, syscall.SIGCHLD)
	for {
		select {
		case <-end:
			return
		case <-ended:
			collect()
		}
	}
}

// collect waits for every child that has ended; one signal may stand for several of them.
func collect() {
	for {
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && err != syscall.EINTR {
			return
		}
	}
}
