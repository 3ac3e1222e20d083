package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGenerated generates everything again elsewhere and compares.
func TestGenerated(t *testing.T) {
	api, err := filepath.Abs("../../api/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir()
	cmd := exec.Command("go", "tool", "-modfile=../../tools/go.mod", "controller-gen",
		"object", "crd", "paths=.", "output:object:dir="+fresh, "output:crd:dir="+filepath.Join(fresh, "crds"))
	cmd.Dir = api
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("controller-gen: %v\n%s", err, out)
	}
	compare(t, fresh, api)
	compare(t, filepath.Join(fresh, "crds"), filepath.Join(api, "crds"))
}

// compare expects each file of fresh to be the same in committed, and no other
// YAML or generated Go there.
func compare(t *testing.T, fresh, committed string) {
	t.Helper()
	for _, pattern := range []string{"zz_*.go", "*.yaml"} {
		want, err := filepath.Glob(filepath.Join(fresh, pattern))
		if err != nil {
			t.Fatal(err)
		}
		have, err := filepath.Glob(filepath.Join(committed, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(want) != len(have) {
			t.Errorf("%s: %d files of %s, %d are generated. Try: make generate", committed, len(have), pattern, len(want))
		}
		for _, file := range want {
			old, err := os.ReadFile(filepath.Join(committed, filepath.Base(file)))
			if err != nil || string(old) != readFile(t, file) {
				t.Errorf("%s is out of date (%v). Try: make generate", filepath.Base(file), err)
			}
		}
	}
}
