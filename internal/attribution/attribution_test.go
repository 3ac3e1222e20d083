package attribution

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"
)

func request(t *testing.T, a Author) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(NewContext(t.Context(), a), http.MethodPatch, "/", nil)
	r.Header.Set("User-Agent", "hanse")
	Mark(r)
	return r
}

func TestMark(t *testing.T) {
	for want, a := range map[string]Author{
		"hanse": {},
		"hanse (hub-user=alice@example.com; hub-audit-id=5f0c)":    {"alice@example.com", "5f0c"},
		"hanse (hub-audit-id=5f0c)":                                {"", "5f0c"},
		"hanse (hub-user=system:serviceaccount:argocd:argo)":       {"system:serviceaccount:argocd:argo", ""},
		"hanse (hub-user=mallory%29%3B%20hub-user%3Dalice%20%28x)": {"mallory); hub-user=alice (x", ""},
		"hanse (hub-user=Ren%C3%A9%0D%0AX-Remote-User:%20root)":    {"René\r\nX-Remote-User: root", ""},
	} {
		if got := request(t, a).Header.Get("User-Agent"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Whatever a user is called, it is text of a bounded length that ends nothing, and stays what it is.
func TestEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "text"))
		most := rapid.IntRange(8, 300).Draw(t, "most")
		got := encode(text, most)
		if len(got) > most || strings.ContainsAny(got, " ();=\"\\\r\n") {
			t.Fatalf("%q", got)
		}
		whole, wasCut := strings.CutSuffix(got, "~")
		decoded, err := url.PathUnescape(whole)
		if err != nil || wasCut && !strings.HasPrefix(text, decoded) || !wasCut && decoded != text {
			t.Fatalf("%q from %q: %v", got, text, err)
		}
		if wasCut && len(url.QueryEscape(text)) <= most/3 {
			t.Fatalf("%q is cut, and short", text)
		}
	})
}

func FuzzMark(f *testing.F) {
	f.Add("alice", "5f0c")
	f.Add("mallory); hub-user=alice (", "\x00\n")
	f.Fuzz(func(t *testing.T, user, id string) {
		agent := request(t, Author{user, id}).Header.Get("User-Agent")
		if len(agent) > 400 || strings.Count(agent, "hub-user=") > 1 || strings.ContainsFunc(agent, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q", agent)
		}
	})
}

// A request of client-go's has the author of its context, and none of another.
func TestClient(t *testing.T) {
	var agent string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { agent = r.UserAgent() }))
	defer s.Close()
	config := &rest.Config{Host: s.URL, UserAgent: "hanse"}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			Mark(r)
			return next.RoundTrip(r)
		})
	})
	client := kubernetes.NewForConfigOrDie(config)
	remove := func(ctx context.Context) { _ = client.CoreV1().Pods("ns").Delete(ctx, "x", metav1.DeleteOptions{}) }
	remove(NewContext(t.Context(), Author{User: "alice"}))
	if agent != "hanse (hub-user=alice)" {
		t.Error(agent)
	}
	remove(t.Context())
	if agent != "hanse" {
		t.Error(agent)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
