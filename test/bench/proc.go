package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// userHZ is the unit of /proc/PID/stat's times on every Linux that Go runs on.
const userHZ = 100

// cpu is the processor time that a process has used.
func cpu(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
	}
	return parseStat(string(data))
}

// parseStat sums utime and stime, fields 14 and 15; the second one, the name, may hold blanks and brackets.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("no times in %q", stat)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading a process's times: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ, nil
}

// memory is a field of /proc/PID/status or smaps_rollup, in MiB.
func memory(pid int, file, field string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	return parseMemory(string(data), field)
}

func parseMemory(text, field string) (float64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				return 0, fmt.Errorf("reading %s: %w", field, err)
			}
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("no %s in what the kernel says", field)
}

func rss(pid int) (float64, error) { return memory(pid, "status", "VmRSS") }
func pss(pid int) (float64, error) { return memory(pid, "smaps_rollup", "Pss") }

// peak is the most that was resident since resetPeak.
func peak(pid int) (float64, error) { return memory(pid, "status", "VmHWM") }

func resetPeak(pid int) error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("resetting the peak of process %d's memory: %w", pid, err)
	}
	return nil
}

// processesOf are those whose command line names dir.
func processesOf(dir string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is right
	var pids []int
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(line, []byte(dir)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

const (
	// quietCore is the share of a core below which a process counts as quiet; idling costs a third of it.
	quietCore = 0.1
	// quietFor is for how long it has to.
	quietFor = 1500 * time.Millisecond
)

// quiet waits until a process has nothing to do, and returns the CPU time that it had used, and when, before that.
func quiet(ctx context.Context, pid int) (time.Duration, time.Time, error) {
	return quietBelow(ctx, pid, quietCore)
}

// quietBelow is quiet for a process that counts as quiet below that share of a core.
func quietBelow(ctx context.Context, pid int, core float64) (time.Duration, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		used, err := cpu(pid)
		if err != nil {
			return 0, time.Time{}, err
		}
		at := time.Now()
		if err := pause(ctx, quietFor); err != nil {
			return used, at, fmt.Errorf("process %d does not become quiet: %w", pid, err)
		}
		now, err := cpu(pid)
		if err != nil || float64(now-used) < core*float64(quietFor) {
			return used, at, err
		}
	}
}

// pause lets time pass that is measured.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
