package output

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// show is a verb that prints a result, and whether it did anything but that.
func show(t *testing.T, f *Flags, r Result, line ...string) (out string, ran bool, err error) {
	t.Helper()
	var b strings.Builder
	cmd := &cobra.Command{Use: "show", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
		ran = true
		return f.Print(&b, r)
	}}
	f.Bind(cmd)
	cmd.SetArgs(line)
	cmd.SetOut(io.Discard)
	err = cmd.Execute()
	return b.String(), ran, err
}

func table(w io.Writer, wide bool) error {
	_, err := fmt.Fprintf(w, "TABLE %t\n", wide)
	return err
}

// objects are a list as a hub sends it.
func objects() Result {
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "hanse.dev/v1alpha1", "kind": "ClusterList"}}
	for _, name := range []string{"aws", "azure"} {
		list.Items = append(list.Items, unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "hanse.dev/v1alpha1", "kind": "Cluster",
			"metadata": map[string]any{"name": name, "managedFields": []any{map[string]any{"manager": "m"}}}}})
	}
	return Result{Content: list, Table: table}
}

func values() Result {
	return Result{Table: table, Names: []string{"a", "b"}, Content: struct {
		Count int      `json:"count"`
		Items []string `json:"items"`
	}{2, []string{"<a>", "b"}}}
}

func TestFormats(t *testing.T) {
	file := filepath.Join(t.TempDir(), "columns")
	if err := os.WriteFile(file, []byte("NAME\n.metadata.name\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, objects, values string // "" is an error
	}{
		{"", "TABLE false\n", "TABLE false\n"},
		{"-o wide", "TABLE true\n", "TABLE true\n"},
		{"-o name", "cluster.hanse.dev/aws\ncluster.hanse.dev/azure\n", "a\nb\n"},
		{"-o yaml", "apiVersion: hanse.dev/v1alpha1\nitems:\n- apiVersion: hanse.dev/v1alpha1\n  kind: Cluster\n  metadata:\n    name: aws\n- apiVersion: hanse.dev/v1alpha1\n  kind: Cluster\n  metadata:\n    name: azure\nkind: ClusterList\n", "count: 2\nitems:\n- <a>\n- b\n"},
		{"-o jsonpath={.items[*].metadata.name}{.count}", "aws azure", "2"},
		{"-o jsonpath={.items[1]}", `{"apiVersion":"hanse.dev/v1alpha1","kind":"Cluster","metadata":{"managedFields":[{"manager":"m"}],"name":"azure"}}`, "b"},
		{"-o go-template={{.items|len}}", "2", "2"},
		{"--template={{.items|len}}", "2", "2"},
		{"-o custom-columns=NAME:.metadata.name", "NAME\naws\nazure\n", ""},
		{"-o custom-columns-file=" + file, "NAME\naws\nazure\n", ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			line := strings.Fields(c.line)
			if got, _, err := show(t, ForObjects(Wide), objects(), line...); err != nil || got != c.objects {
				t.Errorf("objects: %q, %v; want %q", got, err, c.objects)
			}
			got, ran, err := show(t, ForValues(Wide, Name), values(), line...)
			if got != c.values || (err == nil) != (c.values != "") || ran != (err == nil) {
				t.Errorf("values: %q, %v; want %q", got, err, c.values)
			}
		})
	}
}

// JSON is indented as kubectl does, and says of objects what they are.
func TestJSON(t *testing.T) {
	got, _, err := show(t, ForValues(), values(), "-o", "json")
	if want := "{\n    \"count\": 2,\n    \"items\": [\n        \"\\u003ca\\u003e\",\n        \"b\"\n    ]\n}\n"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	got, _, err = show(t, ForObjects(), objects(), "-o", "json")
	if err != nil || !strings.Contains(got, `"kind": "ClusterList"`) || strings.Contains(got, "managedFields") {
		t.Errorf("%q, %v", got, err)
	}
	got, _, err = show(t, ForObjects(), objects(), "-o", "json", "--show-managed-fields")
	if err != nil || !strings.Contains(got, "managedFields") {
		t.Errorf("%q, %v", got, err)
	}
}

// What is no format is refused before anything is done, with kubectl's words.
func TestUnknownFormat(t *testing.T) {
	const common = "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml"
	for _, c := range []struct {
		flags   *Flags
		line    string
		allowed string
	}{
		{ForObjects(Wide), "xml", "custom-columns,custom-columns-file," + common + ",name,template,templatefile,wide,yaml"},
		{ForObjects(), "wide", "custom-columns,custom-columns-file," + common + ",name,template,templatefile,yaml"},
		{ForValues(), "table", common + ",template,templatefile,yaml"},
		{ForValues(), "name", common + ",template,templatefile,yaml"},
		{ForValues(Name), "wide", common + ",name,template,templatefile,yaml"},
	} {
		_, ran, err := show(t, c.flags, values(), "-o", c.line)
		want := fmt.Sprintf("unable to match a printer suitable for the output format %q, allowed formats are: %s", c.line, c.allowed)
		if ran || err == nil || err.Error() != want {
			t.Errorf("%v (ran: %t), want %s", err, ran, want)
		}
	}
	for line, want := range map[string]string{
		"jsonpath=":          "template format specified but no template given",
		"jsonpath={.":        "error parsing jsonpath",
		"go-template={{":     "error parsing template",
		"custom-columns=":    "no custom columns given",
		"custom-columns=bad": "unexpected custom-columns spec",
	} {
		if _, ran, err := show(t, ForObjects(), objects(), "-o", line); ran || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("-o %s: %v (ran: %t), want %q", line, err, ran, want)
		}
	}
}

// ForPeople is what decides whether a verb says that there is nothing.
func TestForPeople(t *testing.T) {
	for line, want := range map[string]bool{"": true, "-o=wide": true, "-o=json": false, "-o=name": false, "--template={{.}}": false} {
		f := ForObjects(Wide)
		if _, _, err := show(t, f, objects(), strings.Fields(line)...); err != nil || f.ForPeople() != want {
			t.Errorf("%q is for people: %t, %v", line, f.ForPeople(), err)
		}
	}
}

func TestCount(t *testing.T) {
	for want, n := range map[string]int32{"1 replica": 1, "0 replicas": 0, "2 replicas": 2} {
		if got := Count(n, "replica"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if Dash("") != "-" || Dash("a") != "a" {
		t.Error("a hole is a dash, and nothing else is")
	}
}
