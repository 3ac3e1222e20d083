package kubeconfig

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"pgregory.net/rapid"
)

const foreign = `# my clusters
apiVersion: v1
kind: Config
current-context: work
preferences: {}
clusters:
- name: work
  cluster:
    server: https://work.example   # the office
    some-future-field: 7
users:
- name: work
  user: {token: abc}
contexts:
- name: work
  context: {cluster: work, user: work}
`

func testContext(name, source, server string) Context {
	cluster := api.NewCluster()
	cluster.Server = server
	user := api.NewAuthInfo()
	user.Token = "token-of-" + name
	return Context{Name: name, Source: source, Cluster: cluster, User: user}
}

func mustMerge(t *testing.T, old []byte, use string, contexts ...Context) Result {
	t.Helper()
	r, err := Merge(old, contexts, use)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMergeKeepsWhatOthersWrote(t *testing.T) {
	r := mustMerge(t, []byte(foreign), "", testContext("aws", "/a#aws", "https://aws.example"))
	for _, want := range []string{"# my clusters", "# the office", "some-future-field: 7", "current-context: work", "https://aws.example"} {
		if !strings.Contains(string(r.Data), want) {
			t.Errorf("%q is missing from:\n%s", want, r.Data)
		}
	}
	if !reflect.DeepEqual(r.Added, []string{"aws"}) || r.Current != "work" {
		t.Errorf("added %v, current %q", r.Added, r.Current)
	}
}

func TestMergeIntoNothingSetsTheCurrentContext(t *testing.T) {
	r := mustMerge(t, nil, "", testContext("federation", "/a#federation", "https://hub.example"), testContext("aws", "/a#aws", "https://aws.example"))
	cfg, err := clientcmd.Load(r.Data)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.CurrentContext != "federation" || len(cfg.Contexts) != 2 || cfg.AuthInfos["aws"].Token != "token-of-aws" {
		t.Errorf("merged into nothing:\n%s", r.Data)
	}
}

func TestMergeSwitchesOnlyWhenAsked(t *testing.T) {
	aws := testContext("aws", "/a#aws", "https://aws.example")
	if r := mustMerge(t, []byte(foreign), "aws", aws); r.Current != "aws" {
		t.Errorf("current is %q", r.Current)
	}
	if _, err := Merge([]byte(foreign), []Context{aws}, "azure"); err == nil {
		t.Error("an unknown context was made current")
	}
}

func TestMergeClashes(t *testing.T) {
	merged := mustMerge(t, []byte(foreign), "", testContext("aws", "/a#aws", "https://aws.example")).Data
	for name, c := range map[string]Context{
		"of others":         testContext("work", "/a#work", "https://hub.example"),
		"of another source": testContext("aws", "/b#aws", "https://aws.example"),
	} {
		var clash *ClashError
		if _, err := Merge(merged, []Context{c}, ""); !errors.As(err, &clash) || clash.Names[0] != c.Name {
			t.Errorf("%s: got %v, want a clash over %s", name, err, c.Name)
		}
		c.Overwrite = true
		r := mustMerge(t, merged, "", c)
		cfg, err := clientcmd.Load(r.Data)
		if err != nil || cfg.Clusters[c.Name].Server != c.Cluster.Server {
			t.Errorf("%s: not overwritten: %v\n%s", name, err, r.Data)
		}
	}
	twice := testContext("x", "/a#x", "https://x.example")
	if _, err := Merge(nil, []Context{twice, twice}, ""); err == nil {
		t.Error("one name given twice was merged")
	}
}

func TestMergeUpdatesItsOwnAndKeepsTheNamespace(t *testing.T) {
	merged := mustMerge(t, []byte(foreign), "", testContext("aws", "/a#aws", "https://old.example")).Data
	cfg, err := clientcmd.Load(merged)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Contexts["aws"].Namespace = "shop" // kubectl config set-context --namespace
	touched, err := clientcmd.Write(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := mustMerge(t, touched, "", testContext("aws", "/a#aws", "https://new.example"))
	if cfg, err = clientcmd.Load(r.Data); err != nil {
		t.Fatal(err)
	}
	if cfg.Clusters["aws"].Server != "https://new.example" || cfg.Contexts["aws"].Namespace != "shop" {
		t.Errorf("updated to:\n%s", r.Data)
	}
	if !reflect.DeepEqual(r.Updated, []string{"aws"}) || r.Added != nil {
		t.Errorf("added %v, updated %v", r.Added, r.Updated)
	}
}

func TestFreeName(t *testing.T) {
	merged := mustMerge(t, []byte(foreign), "", testContext("work-2", "/a#work", "https://a.example")).Data
	for _, tt := range []struct {
		name, source string
		taken        []string
		want         string
	}{
		{"aws", "/a#aws", nil, "aws"},
		{"aws", "/a#aws", []string{"aws"}, "aws-2"},
		{"work", "/b#work", nil, "work-3"},
		{"work", "/a#work", nil, "work-2"}, // its own from before
		{"work", "/b#work", []string{"work-3"}, "work-4"},
	} {
		got, err := FreeName(merged, testContext(tt.name, tt.source, ""), tt.taken)
		if err != nil || got != tt.want {
			t.Errorf("FreeName(%s from %s, %v) = %q, %v; want %q", tt.name, tt.source, tt.taken, got, err, tt.want)
		}
	}
}

// drawConfig draws a kubeconfig of others.
func drawConfig(t *rapid.T) *api.Config {
	cfg := api.NewConfig()
	names := rapid.SliceOfNDistinct(drawName(), 0, 4, rapid.ID).Draw(t, "foreign")
	for _, name := range names {
		cfg.Clusters[name] = &api.Cluster{Server: "https://" + name, CertificateAuthorityData: []byte(name)}
		cfg.AuthInfos[name] = &api.AuthInfo{Token: name}
		cfg.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
		cfg.CurrentContext = name
	}
	return cfg
}

func drawName() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-z]{1,2}`), rapid.StringMatching(`[ -~]{1,12}`), rapid.SampledFrom([]string{"true", "1e3", "null", "~", "é: x", "a#b"}))
}

func TestMergeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawConfig(t)
		old, err := clientcmd.Write(*before)
		if err != nil {
			t.Fatal(err)
		}
		var contexts []Context
		for i, name := range rapid.SliceOfNDistinct(drawName(), 1, 3, rapid.ID).Draw(t, "contexts") {
			contexts = append(contexts, testContext(name, fmt.Sprintf("/src#%d", i), "https://member.example"))
		}
		r, err := Merge(old, contexts, "")
		var clash *ClashError
		if errors.As(err, &clash) {
			for _, name := range clash.Names {
				if before.Contexts[name] == nil {
					t.Fatalf("a clash over %q, which nobody has", name)
				}
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		after, err := clientcmd.Load(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range contexts {
			if after.Clusters[c.Name].Server != c.Cluster.Server || after.AuthInfos[c.Name].Token != c.User.Token || after.Contexts[c.Name].Cluster != c.Name {
				t.Fatalf("%q did not arrive:\n%s", c.Name, r.Data)
			}
			delete(after.Clusters, c.Name)
			delete(after.AuthInfos, c.Name)
			delete(after.Contexts, c.Name)
		}
		if before.CurrentContext == "" {
			after.CurrentContext = ""
		}
		if got, err := clientcmd.Write(*after); err != nil || string(got) != string(old) {
			t.Fatalf("entries of others changed: %v\n%s\n-- was --\n%s", err, got, old)
		}
		again, err := Merge(r.Data, contexts, "")
		if err != nil || again.Changed(r.Data) || again.Added != nil || again.Updated != nil {
			t.Fatalf("merging again changed something: %v\n%s\n-- was --\n%s", err, again.Data, r.Data)
		}
	})
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(foreign))
	f.Add([]byte("{}"))
	f.Add([]byte("clusters: null\nusers: []\n"))
	f.Add([]byte("clusters: &a\n- name: x\n  cluster: {server: y}\nextensions: *a\n"))
	f.Fuzz(func(t *testing.T, old []byte) {
		c := testContext("aws", "/a#aws", "https://aws.example")
		r, err := Merge(old, []Context{c}, "")
		if err != nil {
			return
		}
		again, err := Merge(r.Data, []Context{c}, "")
		if err != nil || again.Changed(r.Data) {
			t.Fatalf("merging again: %v\n%s\n-- was --\n%s", err, again.Data, r.Data)
		}
	})
}
