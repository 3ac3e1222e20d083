package lightmember

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/pki"
)

// About is what every member says of itself: /version, and aggregated discovery of /api and /apis. It is copied from a
// real server, so that a light member serves all that a real one does.
type About struct {
	Version json.RawMessage `json:"version"`
	API     json.RawMessage `json:"api"`
	APIs    json.RawMessage `json:"apis"`
}

// Fleet is many members.
type Fleet struct {
	Clusters []*Cluster
	// CA is what their certificate is signed by, in PEM.
	CA []byte

	about About
	kinds map[schema.GroupVersionResource]string

	writes  atomic.Int64
	mu      sync.Mutex
	hanging map[string]chan struct{} // by name; closed when it answers again
	watched Object
	there   map[string]time.Time // since when members have what is watched
	news    chan struct{}
}

// Object names an object, the same in all members.
type Object struct {
	Group     string `json:"group"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// New makes so many members, called light-0000 and so on, in three regions. Files of theirs are in dir. They answer
// once Serve runs.
func New(dir string, about About, members int) (*Fleet, error) {
	f := &Fleet{about: about, hanging: map[string]chan struct{}{}, there: map[string]time.Time{}, news: make(chan struct{})}
	if err := f.readKinds(); err != nil {
		return nil, err
	}
	ca, err := pki.EnsureAuthority(filepath.Join(dir, "light-ca.crt"), filepath.Join(dir, "light-ca.key"), "light members", time.Now)
	if err != nil {
		return nil, err
	}
	f.CA = ca.CertificatePEM()
	regions := []string{"us-east-1", "westeurope", "asia-east1"}
	for i := range members {
		c := newCluster(f, fmt.Sprintf("light-%04d", i))
		if err := c.seed(regions[i%len(regions)]); err != nil {
			return nil, err
		}
		f.Clusters = append(f.Clusters, c)
	}
	return f, nil
}

func (f *Fleet) readKinds() error {
	f.kinds = map[schema.GroupVersionResource]string{}
	for _, data := range []json.RawMessage{f.about.API, f.about.APIs} {
		var list apidiscoveryv2.APIGroupDiscoveryList
		if err := json.Unmarshal(data, &list); err != nil {
			return fmt.Errorf("read what the members are to serve: %w", err)
		}
		for _, group := range list.Items {
			for _, version := range group.Versions {
				for _, r := range version.Resources {
					if r.ResponseKind != nil {
						f.kinds[schema.GroupVersionResource{Group: group.Name, Version: version.Version, Resource: r.Resource}] = r.ResponseKind.Kind
					}
				}
			}
		}
	}
	return nil
}

func (f *Fleet) gitVersion() string {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(f.about.Version, &v); err != nil {
		return ""
	}
	return v.GitVersion
}

// Listen opens a port of 127.0.0.1 for each member. The members answer until ctx ends.
func (f *Fleet) Listen(ctx context.Context, dir string) error {
	ca, err := pki.EnsureAuthority(filepath.Join(dir, "light-ca.crt"), filepath.Join(dir, "light-ca.key"), "light members", time.Now)
	if err != nil {
		return err
	}
	cert, key, err := ca.Issue(pki.Request{CommonName: "light", Hosts: []string{"127.0.0.1"}})
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("use the members' certificate: %w", err)
	}
	for _, c := range f.Clusters {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen for member %s: %w", c.Name, err)
		}
		c.Endpoint = "https://" + listener.Addr().String()
		server := &http.Server{
			Handler: c, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		}
		context.AfterFunc(ctx, func() { _ = server.Close() })
		go func() {
			if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
				log.Printf("member %s has ended: %v", c.Name, err)
			}
		}()
	}
	return nil
}

// Writes is how many requests that change something all members have had.
func (f *Fleet) Writes() int64 { return f.writes.Load() }

// Hang makes the first n members take requests and answer none, streams included; all others answer.
func (f *Fleet) Hang(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range f.Clusters {
		switch gone := f.hanging[c.Name]; {
		case i < n && gone == nil:
			f.hanging[c.Name] = make(chan struct{})
		case i >= n && gone != nil:
			close(gone)
			delete(f.hanging, c.Name)
		}
	}
}

// pauseWhileHanging blocks while the member is to hang, and ends with ctx.
func (f *Fleet) pauseWhileHanging(ctx context.Context, c *Cluster) {
	f.mu.Lock()
	gone := f.hanging[c.Name]
	f.mu.Unlock()
	if gone == nil {
		return
	}
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// arrived notes that a member has an object, or has it no more.
func (f *Fleet) arrived(cluster string, gr schema.GroupResource, name types.NamespacedName, there bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched != (Object{Group: gr.Group, Resource: gr.Resource, Namespace: name.Namespace, Name: name.Name}) {
		return
	}
	if _, had := f.there[cluster]; had == there {
		return
	}
	if there {
		f.there[cluster] = time.Now()
	} else {
		delete(f.there, cluster)
	}
	close(f.news)
	f.news = make(chan struct{})
}

// Expect begins to note which members have an object. Those that have it already are not noted.
func (f *Fleet) Expect(o Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watched, f.there = o, map[string]time.Time{}
}

// Await blocks until so many members have what Expect named, and says when each of them got it, the first first.
func (f *Fleet) Await(ctx context.Context, members int) ([]time.Time, error) {
	for {
		f.mu.Lock()
		var at []time.Time
		for _, t := range f.there {
			at = append(at, t)
		}
		news := f.news
		f.mu.Unlock()
		if len(at) >= members {
			slices.SortFunc(at, time.Time.Compare)
			return at, nil
		}
		select {
		case <-ctx.Done():
			return at, fmt.Errorf("%d of %d members have it: %w", len(at), members, ctx.Err())
		case <-news:
		}
	}
}
