package hubs

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/pki"
)

// database runs an etcd for a test.
func database(t *testing.T) func() *Registry {
	t.Helper()
	at := url.URL{Scheme: "unix", Path: filepath.Join(t.TempDir(), "etcd.sock")}
	c := embed.NewConfig()
	c.Dir = t.TempDir()
	c.ListenClientUrls, c.AdvertiseClientUrls, c.ListenPeerUrls = []url.URL{at}, []url.URL{at}, nil
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync, c.TickMs, c.ElectionMs = true, 50, 250
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	<-server.Server.ReadyNotify()
	return func() *Registry {
		t.Helper()
		r, err := Open([]string{at.String()}, TLS{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
}

func fingerprint(key string) datadir.Fingerprint {
	return datadir.Fingerprint{
		Encryption: []datadir.EncryptionKey{{Name: "key1", ID: key}}, Resources: []string{"secrets"}, Authorities: []string{"sha256:" + key}, ServiceAccount: key,
	}
}

// TestOneHubIsFirst: of two hubs that start on an empty database one names its keys, and a change counts only if it is of what
// the database says now.
func TestOneHubIsFirst(t *testing.T) {
	ctx, open := t.Context(), database(t)
	a, b := open(), open()
	if _, known, err := a.Record(ctx); known || err != nil {
		t.Fatal(known, err)
	}
	if saved, err := a.Save(ctx, Record{Keys: fingerprint("a")}); !saved || err != nil {
		t.Fatal(saved, err)
	}
	if saved, err := b.Save(ctx, Record{Keys: fingerprint("b")}); saved || err != nil {
		t.Fatal("a second hub was first, too", err)
	}
	record, known, err := b.Record(ctx)
	if !known || err != nil || !record.Keys.Equal(fingerprint("a")) {
		t.Fatal(record, known, err)
	}
	if err := record.Refusal(fingerprint("a"), "dir"); err != nil {
		t.Error(err)
	}
	refusal := record.Refusal(fingerprint("b"), "dir")
	for _, part := range []string{"the encryption key key1 (a)", "the signing key of service accounts (a)", "Try: ", "join-token"} {
		if refusal == nil || !strings.Contains(refusal.Error(), part) {
			t.Errorf("%v does not say %q", refusal, part)
		}
	}
	stale := record
	record.Keys = fingerprint("c")
	if saved, err := b.Save(ctx, record); !saved || err != nil {
		t.Fatal(saved, err)
	}
	if saved, err := a.Save(ctx, stale); saved || err != nil {
		t.Error("a change of what was there before counts", err)
	}
}

func TestHubsThatRun(t *testing.T) {
	ctx, open := t.Context(), database(t)
	a, b := open(), open()
	for range 2 {
		for _, h := range []struct {
			at *Registry
			Hub
		}{{a, Hub{ID: "z"}}, {b, Hub{ID: "y", Addresses: []string{"https://127.0.0.1:1"}, Keys: fingerprint("b")}}} {
			if err := h.at.Announce(ctx, h.Hub); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v := version(t, a, "z"); v != 1 {
		t.Errorf("who says the same again writes: version %d", v)
	}
	if err := a.Announce(ctx, Hub{ID: "z", Keys: fingerprint("a")}); err != nil || version(t, a, "z") != 2 {
		t.Error("who says something else does not write", err)
	}
	all, err := a.Hubs(ctx)
	if err != nil || len(all) != 2 || all[0].ID != "z" || all[1].ID != "y" || !all[1].Keys.Equal(fingerprint("b")) {
		t.Fatal(all, err)
	}
	if err := a.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if all, err = b.Hubs(ctx); err != nil || len(all) != 1 || all[0].ID != "y" {
		t.Fatal(all, err)
	}
	if err := a.Announce(ctx, Hub{ID: "z"}); err != nil { // its lease has run out, as that of a process that was stopped
		t.Fatal(err)
	}
	if all, err = b.Hubs(ctx); err != nil || len(all) != 2 || all[0].ID != "y" {
		t.Fatal("who comes back has not run for longest", all, err)
	}
}

// version is how often a hub's entry was written.
func version(t *testing.T, r *Registry, id string) int64 {
	t.Helper()
	found, err := r.etcd.Get(t.Context(), hubsKey+id)
	if err != nil || len(found.Kvs) != 1 {
		t.Fatal(found, err)
	}
	return found.Kvs[0].Version
}

func TestEachSeesAll(t *testing.T) {
	ctx, r := t.Context(), database(t)()
	const many = 2*pageSize + 7
	for i := range many {
		if _, err := r.etcd.Put(ctx, "/registry/secrets/"+string(rune('a'+i%26))+strings.Repeat("x", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"/registry/secretsother/a", "/registry/pods/a", "hanse/keys"} {
		if _, err := r.etcd.Put(ctx, key, "v"); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	if err := r.Each(ctx, "secrets/", func(key string, _ []byte) error { seen[key] = true; return nil }); err != nil || len(seen) != many {
		t.Errorf("%d of %d: %v", len(seen), many, err)
	}
	enough := errors.New("enough")
	if err := r.Each(ctx, "", func(string, []byte) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
}

// other is a hub that has keys.
type other struct {
	dir *datadir.Dir
	url string
	now time.Time
}

func (o *other) ca(t *testing.T) *pki.Authority {
	t.Helper()
	ca, err := pki.LoadAuthority(o.dir.Path("pki/ca.crt"), o.dir.Path("pki/ca.key"), func() time.Time { return o.now })
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func directory(t *testing.T) *datadir.Dir {
	t.Helper()
	d, err := datadir.Open(t.Context(), t.TempDir(), datadir.Identity{Role: "hub", Name: "federation"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func newOther(t *testing.T) *other {
	t.Helper()
	o := &other{dir: directory(t), now: time.Now()}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != datadir.PathKeys {
			http.NotFound(w, r)
			return
		}
		Serve(o.dir, o.now, w, r)
	}))
	o.url = "https://" + server.Listener.Addr().String()
	if _, _, err := o.dir.Credentials(datadir.Issuance{Context: "federation", Address: o.url, Hosts: []string{"127.0.0.1"}, Now: func() time.Time { return o.now }}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.dir.EnsureEncryption(nil); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(o.dir.Path("pki/apiserver.crt"), o.dir.Path("pki/apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return o
}

func (o *other) invites(t *testing.T) Invited {
	t.Helper()
	i, err := datadir.Invite(o.dir.Path(), time.Hour, o.now)
	if err != nil {
		t.Fatal(err)
	}
	return Invited{Server: i.Server, Token: i.Token, Authority: i.Authority}
}

func TestBring(t *testing.T) {
	o := newOther(t)
	i := o.invites(t)
	if err := i.Validate(); err != nil {
		t.Fatal(err)
	}
	keys, err := i.Bring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mine := directory(t)
	if err := mine.ReplaceKeys(keys); err != nil {
		t.Fatal(err)
	}
	a, _ := o.dir.Fingerprint()
	if b, err := mine.Fingerprint(); err != nil || !a.Equal(b) {
		t.Error(b, err)
	}
	if _, err := i.Bring(t.Context()); err == nil || !strings.Contains(err.Error(), "was used") || !strings.Contains(err.Error(), "Try: ") {
		t.Errorf("a second time: %v", err)
	}
	late := o.invites(t)
	o.now = o.now.Add(2 * time.Hour)
	if _, err := late.Bring(t.Context()); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("after it has expired: %v", err)
	}
}

// TestBringByKubeconfig: one of system:masters is as good as a token, any other is not.
func TestBringByKubeconfig(t *testing.T) {
	o := newOther(t)
	for _, breakGlass := range []bool{true, false} {
		data, err := datadir.AdminKubeconfig(datadir.AdminRequest{Path: o.dir.Path(), User: "alice", Life: time.Hour, BreakGlass: breakGlass, Now: func() time.Time { return o.now }})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "kubeconfig")
		if err := pki.WriteFile(file, data); err != nil {
			t.Fatal(err)
		}
		keys, err := Invited{Kubeconfig: file}.Bring(t.Context())
		switch {
		case breakGlass && (err != nil || len(keys) == 0):
			t.Error(len(keys), err)
		case !breakGlass && (err == nil || len(keys) > 0 || !strings.Contains(err.Error(), "Try: a kubeconfig of hanse admin kubeconfig --break-glass")):
			t.Error(len(keys), err)
		}
	}
	if _, err := (Invited{Kubeconfig: "nowhere"}).Bring(t.Context()); err == nil || !strings.Contains(err.Error(), "--join-kubeconfig") || !strings.Contains(err.Error(), "Try: ") {
		t.Error(err)
	}
}

// TestNothingIsSentToSomebodyElse: a server that is not known by the CA with the hash gets no token.
func TestNothingIsSentToSomebodyElse(t *testing.T) {
	o, mallory := newOther(t), newOther(t)
	posted := false
	between := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posted = posted || r.Method == http.MethodPost
		Serve(o.dir, o.now, w, r) // it says what the real one says
	}))
	pair, err := tls.LoadX509KeyPair(mallory.dir.Path("pki/apiserver.crt"), mallory.dir.Path("pki/apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	between.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	between.StartTLS()
	defer between.Close()
	i := o.invites(t)
	i.Server = between.URL
	if _, err := i.Bring(t.Context()); err == nil || !strings.Contains(err.Error(), "does not show a certificate of the CA") {
		t.Error(err)
	}
	i.Server = mallory.url
	if _, err := i.Bring(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody between") {
		t.Error(err)
	}
	if posted {
		t.Error("the token was sent")
	}
}

// TestKeysAreForMasters asks as those who may do everything at the hub, and yet not that.
func TestKeysAreForMasters(t *testing.T) {
	o, stranger := newOther(t), newOther(t)
	now := func() time.Time { return o.now }
	foreign, err := pki.LoadAuthority(stranger.dir.Path("pki/ca.crt"), stranger.dir.Path("pki/ca.key"), now)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ca    *pki.Authority
		group string
		host  []string
		given bool
	}{
		"break-glass":                {o.ca(t), "system:masters", nil, true},
		"admin.kubeconfig":           {o.ca(t), "hanse:admins", nil, false},
		"of another hub's authority": {foreign, "system:masters", nil, false},
		"a server's certificate":     {o.ca(t), "system:masters", []string{"127.0.0.1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			crt, key, err := c.ca.Issue(pki.Request{CommonName: "x", Organizations: []string{c.group}, Hosts: c.host})
			if err != nil {
				t.Fatal(err)
			}
			dir := directory(t)
			for file, content := range map[string][]byte{"pki/hanse.crt": crt, "pki/hanse.key": key, "pki/ca.crt": o.ca(t).CertificatePEM()} {
				if err := pki.WriteFile(dir.Path(file), content); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := FromPeer(t.Context(), dir, Hub{Addresses: []string{"https://127.0.0.1:1", o.url}})
			if (err == nil) != c.given || (len(keys) > 0) != c.given {
				t.Errorf("%d keys, %v", len(keys), err)
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	o := newOther(t)
	for _, c := range []struct {
		method, body string
		want         int
	}{
		{http.MethodGet, "", http.StatusOK}, {http.MethodPut, "{}", http.StatusMethodNotAllowed}, {http.MethodPost, "", http.StatusBadRequest},
		{http.MethodPost, "{}", http.StatusForbidden}, {http.MethodPost, `{"token":"` + strings.Repeat("x", longestAsk) + `"}`, http.StatusBadRequest},
		{http.MethodPost, `{"token":"../../pki/ca.key"}`, http.StatusForbidden},
	} {
		w := httptest.NewRecorder()
		Serve(o.dir, o.now, w, httptest.NewRequestWithContext(context.Background(), c.method, datadir.PathKeys, strings.NewReader(c.body)))
		if w.Code != c.want || strings.Contains(w.Body.String(), "PRIVATE") {
			t.Errorf("%s %.40s: %d, want %d: %s", c.method, c.body, w.Code, c.want, w.Body)
		}
	}
}

func TestInvitedIsChecked(t *testing.T) {
	good := Invited{Server: "https://10.0.0.1:6443", Token: "t", Authority: "sha256:" + strings.Repeat("0", 64)}
	if err := errors.Join(good.Validate(), Invited{}.Validate(), Invited{Kubeconfig: "x"}.Validate()); err != nil {
		t.Fatal(err)
	}
	for part, spoil := range map[string]func(*Invited){
		"--join https":         func(i *Invited) { i.Server = "" },
		"is not the URL":       func(i *Invited) { i.Server = "http://10.0.0.1" },
		"--join needs a token": func(i *Invited) { i.Token = "" },
		"--ca-cert-hash":       func(i *Invited) { i.Authority = "sha256:0" },
		"--join-kubeconfig":    func(i *Invited) { i.Kubeconfig = "x" },
	} {
		i := good
		spoil(&i)
		if err := i.Validate(); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}
