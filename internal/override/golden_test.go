package override_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

var update = flag.Bool("update", false, "write the golden files' results instead of checking them")

// TestGolden applies the overrides of each file below testdata/golden to its
// object, and compares what comes of it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) < 2 || archive.Files[0].Name != "object" || archive.Files[1].Name != "overrides" {
				t.Fatal("wants the parts object, overrides, result, changes")
			}
			result, changes := run(t, archive.Files[0].Data, archive.Files[1].Data)
			got := txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: []txtar.File{
				archive.Files[0], archive.Files[1], {Name: "result", Data: []byte(result)}, {Name: "changes", Data: []byte(changes)},
			}})
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want, _ := os.ReadFile(file); string(want) != string(got) {
				t.Errorf("want\n%s\ngot\n%s\nTry: go test ./internal/override -update, and look at the difference", want, got)
			}
		})
	}
}

func run(t *testing.T, object, overrides []byte) (result, changes string) {
	t.Helper()
	content := decode(t, object)
	before := runtime.DeepCopyJSON(content)
	got, made, err := override.Apply(content, read(t, overrides))
	if !equal(content, before) {
		t.Error("the object that was given has been modified")
	}
	if err != nil {
		return "", "error: " + err.Error() + "\n"
	}
	out, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range made {
		fmt.Fprintf(&b, "%s: %s: %s\n", c.Override, c.Field, c.To)
	}
	return string(out), b.String()
}

// read reads overrides as the hub does, from what JSON decodes to.
func read(t *testing.T, raw []byte) []override.Override {
	t.Helper()
	var spec v1alpha1.PlacementPolicySpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(decode(t, raw), &spec); err != nil {
		t.Fatal(err)
	}
	var all []override.Override
	for i := range spec.Overrides {
		all = append(all, override.Override{Name: fmt.Sprintf("overrides[%d]", i), Spec: &spec.Overrides[i]})
	}
	return all
}

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	b, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
