package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is the command, in the root of the tree.
func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "hanse-breach-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := writeOverlay(".", dir, breaches())
	if err != nil {
		return err
	}
	open := filepath.Join(dir, "hanse")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-ldflags=-s -w", "-o", open, ".")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build without defences: %w\n%s", err, said)
	}
	ended, said, err := attack(ctx, open)
	if err != nil {
		return err
	}
	return judge(out, breaches(), ended, said)
}

// writeOverlay writes the files without their defences into dir, and what has the compiler read them in place of those in root.
func writeOverlay(root, dir string, all []breach) (path string, err error) {
	texts := map[string]string{}
	for _, b := range all {
		if _, read := texts[b.file]; !read {
			text, err := os.ReadFile(filepath.Join(root, b.file))
			if err != nil {
				return "", err
			}
			texts[b.file] = string(text)
		}
		if n := strings.Count(texts[b.file], b.old); n != 1 {
			return "", fmt.Errorf("%s has %d times %q, which is to be replaced. Try: correct the breach for %s", b.file, n, b.old, strings.Join(b.tests, ", "))
		}
		texts[b.file] = strings.Replace(texts[b.file], b.old, b.new, 1)
	}
	replace := map[string]string{}
	for file, text := range texts {
		from, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		replace[from] = filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(replace[from], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}

// attack runs test/attack against a program and returns how each test of it ended: pass, fail or skip.
func attack(ctx context.Context, program string) (ended map[string]string, said []byte, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=20m", "-json", "./test/attack")
	cmd.Env = append(os.Environ(), "HANSE_BIN="+program)
	said, err = cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return nil, nil, err
	}
	ended, err = read(bytes.NewReader(said))
	return ended, said, err
}

// read is how each test ended of which go test -json tells.
func read(said io.Reader) (map[string]string, error) {
	ended := map[string]string{}
	for d := json.NewDecoder(said); ; {
		var event struct{ Action, Test string }
		switch err := d.Decode(&event); {
		case errors.Is(err, io.EOF):
			return ended, nil
		case err != nil:
			return nil, fmt.Errorf("go test says what is no JSON: %w", err)
		}
		if event.Test != "" && !strings.Contains(event.Test, "/") && slices.Contains([]string{"pass", "fail", "skip"}, event.Action) {
			ended[event.Test] = event.Action
		}
	}
}

// judge says what became of each attempt. The error is that one of them was not made, or stopped by something else.
func judge(out io.Writer, all []breach, ended map[string]string, said []byte) error {
	var stopped []string
	for _, b := range all {
		for _, test := range b.tests {
			how := ended[test]
			fmt.Fprintf(out, "%-60s %-5s without what is in %s\n", test, how, b.file)
			if how != "fail" {
				stopped = append(stopped, test)
			}
		}
	}
	if len(stopped) > 0 {
		fmt.Fprintf(out, "%s\n", said[max(0, len(said)-1<<14):])
		return fmt.Errorf("%s did not fail without the defence that it is about", strings.Join(stopped, ", "))
	}
	return nil
}
