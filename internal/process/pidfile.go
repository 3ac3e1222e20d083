package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Info identifies a process beyond its pid, which the kernel gives to others later.
type Info struct {
	PID       int
	StartTime uint64 // clock ticks between the boot and the process's start: field 22 of /proc/PID/stat
	Boot      string // the kernel's random id of the boot
}

// Running reads a pid file and says whether the process that it names is alive. A file that is missing, unreadable or
// damaged names no process; neither does one whose process has ended or whose pid belongs to another process by now.
func Running(pidFile string) (Info, bool) {
	content, err := os.ReadFile(pidFile)
	if err != nil {
		return Info{}, false
	}
	info, err := parseInfo(string(content))
	if err != nil || !info.alive() {
		return Info{}, false
	}
	return info, true
}

// alive compares everything, so that a recycled pid does not count. A zombie does not count either: it has ended.
func (i Info) alive() bool {
	now, err := inspect(i.PID)
	return err == nil && now == i
}

func (i Info) write(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendf(nil, "%d %d %s\n", i.PID, i.StartTime, i.Boot), 0)
	return err
}

func parseInfo(content string) (Info, error) {
	fields := strings.Fields(content)
	if len(fields) != 3 {
		return Info{}, fmt.Errorf("pid file has %d fields, want pid, start time and boot", len(fields))
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return Info{}, fmt.Errorf("pid file: %w", err)
	}
	if pid <= 1 { // 0 and negative numbers mean groups of processes to kill(2); 1 is never a child of ours
		return Info{}, fmt.Errorf("pid file: %d is not a child's pid", pid)
	}
	start, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return Info{}, fmt.Errorf("pid file: %w", err)
	}
	return Info{PID: pid, StartTime: start, Boot: fields[2]}, nil
}

// inspect asks the kernel about a live process.
func inspect(pid int) (Info, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Info{}, err
	}
	state, threads, start, err := parseStat(stat)
	if err != nil {
		return Info{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	// The first thread may be dead while others are still dying, and with them the locks that the process holds.
	if threads <= 1 && (state == "Z" || state == "X") {
		return Info{}, os.ErrProcessDone
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Info{}, err
	}
	return Info{PID: pid, StartTime: start, Boot: strings.TrimSpace(string(boot))}, nil
}

// parseStat returns the state, the number of threads and the start time of a line of /proc/PID/stat. The second field,
// the program's name in parentheses, may itself contain blanks and parentheses: fields are counted from the last
// closing one.
func parseStat(line []byte) (state string, threads int, start uint64, err error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return "", 0, 0, errors.New("no program name")
	}
	fields := strings.Fields(string(line[end+1:]))
	if len(fields) < 20 {
		return "", 0, 0, fmt.Errorf("%d fields after the program name, want at least 20", len(fields))
	}
	if threads, err = strconv.Atoi(fields[17]); err != nil {
		return "", 0, 0, fmt.Errorf("number of threads: %w", err)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0], threads, start, err
}

// lockPIDFile opens the file with an exclusive lock, so that of two callers one starts (or stops) and the other is told.
// The lock ends with the returned file. Without create, a missing file is fs.ErrNotExist.
func lockPIDFile(path string, create bool) (*os.File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	for {
		file, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("%w: another command is starting or stopping it", ErrRunning)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// Whoever held the lock before may have removed the file: then this lock is on nothing.
		if same, err := isStillAt(file, path); err != nil || same {
			return file, err
		}
		file.Close()
	}
}

func isStillAt(file *os.File, path string) (bool, error) {
	mine, err := file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}
