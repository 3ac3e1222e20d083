package override

import (
	"strings"
	"testing"

	"github.com/distribution/reference"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func TestParseImage(t *testing.T) {
	const digest = "sha256:0123456789012345678901234567890123456789012345678901234567890123"
	for in, want := range map[string]image{
		"nginx":                                 {"", "nginx", "", ""},
		"nginx:1.29":                            {"", "nginx", "1.29", ""},
		"library/nginx":                         {"", "library/nginx", "", ""},
		"docker.io/nginx@" + digest:             {"docker.io", "nginx", "", digest},
		"localhost/a":                           {"localhost", "a", "", ""},
		"localhost:5000/a/b/c:v1@" + digest:     {"localhost:5000", "a/b/c", "v1", digest},
		"127.0.0.1:80/a":                        {"127.0.0.1:80", "a", "", ""},
		"[2001:db8::1]:5000/a:b":                {"[2001:db8::1]:5000", "a", "b", ""},
		"Registry/a":                            {"Registry", "a", "", ""},
		"eu-docker.pkg.dev/project/repo/a__b:c": {"eu-docker.pkg.dev", "project/repo/a__b", "c", ""},
	} {
		got, err := parseImage(in)
		if err != nil || got != want || got.String() != in {
			t.Errorf("%s: %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", ":", "@", "a:", "a@", "a@sha256:12", "A", "a/B", "https://a/b", "a b", "a:b:c", "/a", "a/", "a//b", digest[7:], strings.Repeat("a", 300)} {
		if got, err := parseImage(in); err == nil {
			t.Errorf("%q is read as %+v", in, got)
		}
	}
}

func TestNewImageErrors(t *testing.T) {
	for _, c := range []struct {
		before string
		o      v1alpha1.ImageOverride
		want   string
	}{
		{"", v1alpha1.ImageOverride{Tag: "v1"}, "there is no image to change"},
		{"A:B", v1alpha1.ImageOverride{Tag: "v1"}, "is not a reference to an image"},
		{"a", v1alpha1.ImageOverride{Image: "A"}, "is not a reference to an image"},
		{"a", v1alpha1.ImageOverride{Registry: "https://a"}, "is not a reference to an image"},
		{"a", v1alpha1.ImageOverride{Registry: "mirror/x"}, "Try: mirror:443"},
	} {
		if got, err := newImage(c.before, &c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q with %+v: %q, %v, want %q", c.before, c.o, got, err, c.want)
		}
	}
}

// FuzzImage compares with the reference parser, which knows the grammar but
// writes out what was left out.
func FuzzImage(f *testing.F) {
	for _, s := range []string{"nginx", "a.b:5000/c/d:e@sha256:0123456789012345678901234567890123456789012345678901234567890123", "localhost/a", "[::1]:5/a", "docker.io/a", "index.docker.io/library/a:b", "A/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseImage(s)
		named, wantErr := reference.ParseNormalizedNamed(s)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, the reference parser says %v", s, err, wantErr)
		}
		if err != nil {
			return
		}
		if got.String() != s {
			t.Fatalf("%q became %q", s, got)
		}
		if tagged, ok := named.(reference.Tagged); (ok && tagged.Tag() != got.tag) || (!ok && got.tag != "") {
			t.Fatalf("%q: tag %q", s, got.tag)
		}
		if digested, ok := named.(reference.Digested); (ok && digested.Digest().String() != got.digest) || (!ok && got.digest != "") {
			t.Fatalf("%q: digest %q", s, got.digest)
		}
		if got.registry != "" && got.registry != "index.docker.io" && got.registry != reference.Domain(named) {
			t.Fatalf("%q: registry %q", s, got.registry)
		}
		if !strings.HasSuffix(reference.Path(named), got.repository) {
			t.Fatalf("%q: repository %q of %q", s, got.repository, reference.Path(named))
		}
		for _, o := range []v1alpha1.ImageOverride{{Registry: "r.example:5000/x"}, {Tag: "t"}, {Repository: "r"}} {
			if after, err := newImage(s, &o); err == nil {
				if _, err := parseImage(after); err != nil {
					t.Fatalf("%q with %+v became %q: %v", s, o, after, err)
				}
			}
		}
	})
}
