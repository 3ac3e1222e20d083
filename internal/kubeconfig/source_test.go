package kubeconfig

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseSource(t *testing.T) {
	for in, want := range map[string]Source{
		"f":            {File: "f"},
		"f=aws":        {File: "f", Name: "aws"},
		"f:ctx":        {File: "f", Context: "ctx"},
		"f:a:b/c=aws":  {File: "f", Context: "a:b/c", Name: "aws"},
		"dir/f:ctx=az": {File: "dir/f", Context: "ctx", Name: "az"},
	} {
		if got, err := ParseSource(in); err != nil || got != want {
			t.Errorf("ParseSource(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "=x", ":x", "f:", "f=", "f:=x", "f:c="} {
		if got, err := ParseSource(in); err == nil {
			t.Errorf("ParseSource(%q) = %+v, want an error", in, got)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	f.Add("f:a:b=c")
	f.Fuzz(func(t *testing.T, s string) {
		src, err := ParseSource(s)
		if err != nil {
			return
		}
		back := src.File
		if src.Context != "" {
			back += ":" + src.Context
		}
		if src.Name != "" {
			back += "=" + src.Name
		}
		if back != s {
			t.Fatalf("%q reads as %+v, which is %q", s, src, back)
		}
	})
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("ca.crt", "certificate")
	two := write("two", `
apiVersion: v1
kind: Config
current-context: b
clusters: [{name: c, cluster: {server: "https://c.example", certificate-authority: ca.crt}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: b, context: {cluster: c, user: u, namespace: shop}}, {name: a, context: {cluster: c, user: u}}]
`)
	names := func(s Source) []string {
		t.Helper()
		contexts, err := s.Load()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range contexts {
			names = append(names, c.Name+" from "+strings.TrimPrefix(c.Source, two))
			if string(c.Cluster.CertificateAuthorityData) != "certificate" || c.Cluster.CertificateAuthority != "" {
				t.Errorf("the certificate is not in %s", c.Name)
			}
		}
		return names
	}
	for _, tt := range []struct {
		source Source
		want   []string
	}{
		{Source{File: two}, []string{"b from #b", "a from #a"}},
		{Source{File: two, Name: "x"}, []string{"x from #b"}},
		{Source{File: two, Context: "a"}, []string{"a from #a"}},
		{Source{File: two, Context: "a", Name: "y"}, []string{"y from #a"}},
	} {
		if got := names(tt.source); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v: got %v, want %v", tt.source, got, tt.want)
		}
	}
	for what, s := range map[string]Source{
		"no such file":    {File: filepath.Join(dir, "none")},
		"no such context": {File: two, Context: "z"},
		"no contexts":     {File: write("empty", "apiVersion: v1\nkind: Config\n")},
		"no kubeconfig":   {File: write("bad", "{{")},
		"no such cluster": {File: write("dangling", "contexts: [{name: a, context: {cluster: c, user: u}}]\n")},
	} {
		if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), s.File) {
			t.Errorf("%s: got %v, want an error that names the file", what, err)
		}
	}
}
