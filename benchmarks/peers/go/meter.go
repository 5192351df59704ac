package main

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// Cost is what a stretch of the program cost: benchmarks/subjects/meter.py, in Go.
type Cost struct {
	CPUSeconds  float64 `json:"cpu_seconds"`
	WallSeconds float64 `json:"wall_seconds"`
	RSSBytes    int64   `json:"rss_bytes"`
	PeakBytes   int64   `json:"peak_bytes"`
}

type meter struct {
	rss  int64
	cpu  float64
	wall time.Time
}

func begin() meter {
	begun := meter{rss: settledRSS()}
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // forget the peak so far
	begun.wall, begun.cpu = time.Now(), cpuSeconds()
	return begun
}

func (m meter) end() Cost {
	cost := Cost{CPUSeconds: cpuSeconds() - m.cpu, WallSeconds: time.Since(m.wall).Seconds()}
	cost.PeakBytes = status("VmHWM:") - m.rss
	cost.RSSBytes = settledRSS() - m.rss
	return cost
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// settledRSS is the memory held when garbage is collected and free memory returned.
func settledRSS() int64 {
	debug.FreeOSMemory()
	return status("VmRSS:")
}

// status returns the bytes of one line of /proc/self/status.
func status(name string) int64 {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(err)
	}
	for _, line := range bytes.Split(content, []byte("\n")) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == name {
			kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				fail(err)
			}
			return kib << 10
		}
	}
	return 0
}
