package arch

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestThreatModel holds SECURITY.md against test/attack: each test that it names is there, and each that is there is named.
func TestThreatModel(t *testing.T) {
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(readFile(t, "../../SECURITY.md"), -1)
	var model []string
	for _, m := range named {
		model = append(model, m[1])
	}
	files, err := filepath.Glob("../attack/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("test/attack has %d files: %v", len(files), err)
	}
	var tests []string
	for _, f := range files {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(readFile(t, f), -1) {
			tests = append(tests, m[1])
		}
	}
	for _, name := range model {
		if !slices.Contains(tests, name) {
			t.Errorf("SECURITY.md names %s, which is not in test/attack", name)
		}
	}
	for _, name := range tests {
		if !slices.Contains(model, name) {
			t.Errorf("SECURITY.md does not name %s of test/attack", name)
		}
	}
	if len(model) < 10 || !strings.HasPrefix(model[0], "Test") {
		t.Errorf("SECURITY.md names %q", model)
	}
}
