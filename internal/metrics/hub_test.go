package metrics

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Panics are counted of components that are known here.
func TestComponents(t *testing.T) {
	found := map[string]bool{"upstream": true} // counted by package app
	call := regexp.MustCompile(`guard\.(?:Count|RunCounted)\([^,]+, "([a-z-]+)"`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range call.FindAllStringSubmatch(string(source), -1) {
			found[m[1]] = true
			if !slices.Contains(components(), m[1]) {
				t.Errorf("%s counts panics of %q, which is not among the components", path, m[1])
			}
		}
		return err
	})
	if err != nil || len(found) < 5 {
		t.Errorf("only %v: %v", found, err)
	}
	m, r := fresh(t)
	m.Hub.Panicked("what a member said")
	all := r.scrape(t)
	if n := len(of(all, "panics")); n != len(components())+1 || all[`hanse_panics_recovered_total{component="fleet"}`] != 0 {
		t.Error(of(all, "panics"))
	}
}
