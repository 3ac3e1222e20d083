package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be its own child: real processes, no helper program.
func TestMain(m *testing.M) {
	switch os.Getenv("HANSE_TEST_CHILD") {
	case "polite": // ends at SIGTERM
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Println("polite: ready")
		<-stop
		fmt.Println("polite: bye")
	case "stubborn": // only SIGKILL ends it
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("stubborn: ready")
		<-time.After(time.Minute) // no test lasts that long
	case "failing":
		fmt.Println("failing: no luck")
		os.Exit(3)
	default:
		os.Exit(m.Run())
	}
}

func spec(t *testing.T, role string) Spec {
	t.Helper()
	dir := t.TempDir()
	s := Spec{
		Argv:    []string{os.Args[0]},
		Env:     append(os.Environ(), "HANSE_TEST_CHILD="+role),
		LogFile: filepath.Join(dir, "log"),
		PIDFile: filepath.Join(dir, "pid"),
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // SIGKILL at once
		if err := Stop(ctx, s.PIDFile); err != nil {
			t.Error(err)
		}
	})
	return s
}

func start(t *testing.T, s Spec) *Child {
	t.Helper()
	child, err := Start(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return child
}

func waitForLog(t *testing.T, s Spec, want string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		log, err := os.ReadFile(s.LogFile)
		if err == nil && strings.Contains(string(log), want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("log %q (%v) has no %q", log, err, want)
		}
	}
}

func TestStartAndStop(t *testing.T) {
	s := spec(t, "polite")
	child := start(t, s)
	waitForLog(t, s, "polite: ready")

	if info, ok := Running(s.PIDFile); !ok || info != child.Info {
		t.Fatalf("Running = %+v, %v, want %+v", info, ok, child.Info)
	}
	if sid, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(child.Info.PID), 0, 0); errno != 0 || int(sid) != child.Info.PID {
		t.Errorf("session %d (%v), want its own", sid, errno)
	}
	if _, err := Start(context.Background(), s); !errors.Is(err, ErrRunning) {
		t.Errorf("second start: %v, want ErrRunning", err)
	}
	if err := Stop(context.Background(), s.PIDFile); err != nil {
		t.Fatal(err)
	}
	if err := child.Err(); err != nil {
		t.Errorf("child ended with %v, want an orderly end", err)
	}
	waitForLog(t, s, "polite: bye")
	if _, err := os.Stat(s.PIDFile); !os.IsNotExist(err) {
		t.Errorf("pid file is still there: %v", err)
	}
	if err := Stop(context.Background(), s.PIDFile); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

func TestStopKillsAtTheDeadline(t *testing.T) {
	s := spec(t, "stubborn")
	child := start(t, s)
	waitForLog(t, s, "stubborn: ready")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := Stop(ctx, s.PIDFile); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if !errors.As(child.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("child ended with %v, want SIGKILL", child.Err())
	}
}

func TestChildThatEndedByItself(t *testing.T) {
	s := spec(t, "failing")
	child := start(t, s)
	if err := child.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Err = %v, want exit status 3", err)
	}
	if info, ok := Running(s.PIDFile); ok {
		t.Errorf("Running = %+v after its end", info)
	}
	if again := start(t, s); again.Info == child.Info {
		t.Error("started again with the same identity")
	}
	if err := Stop(context.Background(), s.PIDFile); err != nil {
		t.Fatal(err)
	}
}

func TestKilledFromOutside(t *testing.T) {
	s := spec(t, "polite")
	child := start(t, s)
	if err := syscall.Kill(child.Info.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-child.Done()
	if err := Stop(context.Background(), s.PIDFile); err != nil {
		t.Errorf("stop after kill -9: %v", err)
	}
}

// A zombie has ended even if its parent has not asked for its exit code yet.
func TestZombieIsNotRunning(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HANSE_TEST_CHILD=polite")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	info, err := inspect(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := info.end(context.Background()); err != nil {
		t.Errorf("a zombie counts as running: %v", err)
	}
}

// The pid of a child that has ended may belong to anybody: here to the test itself, which must survive.
func TestRecycledPIDIsNotSignalled(t *testing.T) {
	me, err := inspect(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, stale := range map[string]Info{
		"other start time": {PID: me.PID, StartTime: me.StartTime - 1, Boot: me.Boot},
		"other boot":       {PID: me.PID, StartTime: me.StartTime, Boot: "another"},
	} {
		t.Run(name, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			line := fmt.Sprintf("%d %d %s\n", stale.PID, stale.StartTime, stale.Boot)
			if err := os.WriteFile(pidFile, []byte(line), 0o600); err != nil {
				t.Fatal(err)
			}
			signals := make(chan os.Signal, 1)
			signal.Notify(signals, syscall.SIGTERM)
			defer signal.Stop(signals)
			if info, ok := Running(pidFile); ok {
				t.Errorf("Running = %+v", info)
			}
			if err := stale.signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			if err := Stop(context.Background(), pidFile); err != nil {
				t.Error(err)
			}
			select {
			case <-signals:
				t.Error("signalled a process that is not the child")
			default:
			}
		})
	}
}

func TestDamagedPIDFiles(t *testing.T) {
	for _, content := range []string{"", "1", "0 1 x", "-1 1 x", "1 1 x", "a b c", "99999999999999999999 1 x", "7 -1 x"} {
		pidFile := filepath.Join(t.TempDir(), "pid")
		if err := os.WriteFile(pidFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if info, ok := Running(pidFile); ok {
			t.Errorf("%q: Running = %+v", content, info)
		}
		if err := Stop(context.Background(), pidFile); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestStartFailsCleanly(t *testing.T) {
	s := spec(t, "polite")
	s.Argv = []string{filepath.Join(t.TempDir(), "missing")}
	if _, err := Start(context.Background(), s); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing program: %v", err)
	}
	if _, err := os.Stat(s.PIDFile); !os.IsNotExist(err) {
		t.Errorf("a pid file stays behind: %v", err)
	}
}

func TestParseStatWithOddProgramNames(t *testing.T) {
	const rest = " S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1\n"
	for _, name := range []string{"sh", "a b", "a) Z (b", ")"} {
		state, threads, start, err := parseStat([]byte("7 (" + name + ")" + rest))
		if state != "S" || threads != 1 || start != 4242 || err != nil {
			t.Errorf("%q: %q, %d, %d, %v", name, state, threads, start, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("7 4242 b3a1")
	f.Add("7 (a b) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1")
	f.Fuzz(func(t *testing.T, content string) {
		if info, err := parseInfo(content); err == nil && info.PID <= 1 {
			t.Errorf("%q: pid %d", content, info.PID)
		}
		_, _, _, _ = parseStat([]byte(content)) // must not panic
	})
}
