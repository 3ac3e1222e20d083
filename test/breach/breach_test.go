package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEachAttemptHasABreach: there is no test in test/attack of which nobody has seen that it can fail.
func TestEachAttemptHasABreach(t *testing.T) {
	files, err := filepath.Glob("../attack/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("test/attack has %d files: %v", len(files), err)
	}
	var attempts, opened []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllSubmatch(text, -1) {
			attempts = append(attempts, string(m[1]))
		}
	}
	for _, b := range breaches() {
		opened = append(opened, b.tests...)
	}
	slices.Sort(attempts)
	slices.Sort(opened)
	if opened = slices.Compact(opened); !slices.Equal(attempts, opened) {
		t.Errorf("attempts are\n%s\nand breaches are for\n%s", strings.Join(attempts, "\n"), strings.Join(opened, "\n"))
	}
}

// TestEveryBreachIsFound: what is to be replaced is there, once.
func TestEveryBreachIsFound(t *testing.T) {
	dir := t.TempDir()
	path, err := writeOverlay("../..", dir, breaches())
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "internal-admission-plugin.go") {
		t.Errorf("%s, %v", data, err)
	}
	if _, err := writeOverlay("../..", dir, []breach{{file: "SECURITY.md", old: "e", tests: []string{"TestX"}}}); err == nil || !strings.Contains(err.Error(), "correct the breach for TestX") {
		t.Errorf("what is there more than once: %v", err)
	}
}

func TestJudge(t *testing.T) {
	ended, err := read(strings.NewReader(`{"Action":"run","Test":"TestA"}
{"Action":"fail","Test":"TestA/part"}
{"Action":"fail","Test":"TestA"}
{"Action":"pass","Test":"TestB"}
{"Action":"fail"}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ test, says string }{
		"red": {"TestA", ""}, "green": {"TestB", "TestB did not fail"}, "never run": {"TestC", "TestC did not fail"},
	} {
		var out strings.Builder
		err := judge(&out, []breach{{file: "f.go", tests: []string{c.test}}}, ended, nil)
		if got := ""; err != nil {
			if got = err.Error(); c.says == "" || !strings.HasPrefix(got, c.says) {
				t.Errorf("%s: %s", name, got)
			}
		} else if c.says != "" {
			t.Errorf("%s: nobody complains", name)
		}
	}
}
