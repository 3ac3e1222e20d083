package scripts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hanse-dev/hanse/test/federation"
	"github.com/hanse-dev/hanse/test/identity"
)

// demoTimeout is many times what a demo needs, for a machine that does a lot
// else.
const demoTimeout = 5 * time.Minute

func TestMain(m *testing.M) {
	if federation.Guard() {
		return
	}
	testscript.Main(m, map[string]func(){
		"curl": func() {
			if err := curl(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, "curl:", err)
				os.Exit(7)
			}
		},
		"browser": func() {
			if err := browse(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, "browser:", err)
				os.Exit(1)
			}
		},
	})
}

func TestScripts(t *testing.T) {
	binary := os.Getenv("HANSE_BIN")
	if binary == "" {
		binary = "../../bin/hanse"
	}
	home, err := federation.NewHome(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := home.Close(); err != nil {
			t.Error(err)
		}
	})
	path := programs(t, home)
	shared := startShared(t, home)
	provider := identity.New()
	t.Cleanup(provider.Close)
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		WorkdirRoot:         home.Dir,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"until": until},
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", path+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("SHARED", shared)
			env.Setenv("KUBECONFIG", filepath.Join(shared, "kubeconfig"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("NO_COLOR", "1")
			env.Setenv("REPO", repo)
			env.Setenv("ISSUER", provider.Issuer())
			if err := os.WriteFile(filepath.Join(env.WorkDir, "id-ca.crt"), provider.CA, 0o600); err != nil {
				return err
			}
			return os.CopyFS(filepath.Join(env.WorkDir, "examples"), os.DirFS(filepath.Join(repo, "examples")))
		},
	})
}

// browse is alice with a browser that trusts the provider of the tests.
func browse(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: browser URL")
	}
	ca, err := os.ReadFile(os.Getenv("BROWSER_CA"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return identity.Person{Name: "alice", CA: ca}.Browse(ctx, args[0])
}

// programs is a directory with hanse under all the names that it answers to.
func programs(t *testing.T, home *federation.Home) string {
	t.Helper()
	dir := filepath.Join(home.Dir, "bin")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hanse", "kubectl", "kubectl-hanse"} {
		if err := os.Symlink(home.Binary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startShared starts the demo that transcripts share.
func startShared(t *testing.T, home *federation.Home) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), demoTimeout)
	defer cancel()
	dir := filepath.Join(home.Dir, "shared")
	result, err := home.Run(ctx, "demo", "--detach", "--dir", dir)
	if err != nil || result.Code != 0 {
		t.Fatalf("start the shared demo: %v %s", err, result)
	}
	t.Logf("the shared demo:\n%s", result.Stderr)
	return dir
}

// until runs a command again and again until what it prints matches a pattern:
//
//	until PATTERN PROGRAM ARGS…
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN PROGRAM ARGS…")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if err == nil && pattern.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within a minute: %v\n%s%s", err, out, ts.ReadFile("stderr"))
		}
		<-tick.C
	}
}
