package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// fed is the federation that is attacked.
type fed struct {
	home    *federation.Home
	hub     *federation.Hub
	members map[string]*federation.Member

	admin *person            // of the hub
	in    map[string]*person // administrators of the members, by its name, who reach it directly
}

// person is somebody with a client of one API server.
type person struct {
	kubernetes.Interface
	name    string
	config  *rest.Config
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

func newPerson(name string, cfg *rest.Config) (*person, error) {
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &person{Interface: typed, name: name, config: cfg, dynamic: dyn}, nil
}

// connect makes the administrators, after a restart of the hub again.
func (f *fed) connect() error {
	cfg, err := f.hub.Config()
	if err != nil {
		return err
	}
	if f.admin, err = newPerson("the hub's administrator", cfg); err != nil {
		return err
	}
	f.admin.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(f.admin.Discovery()))
	for name, m := range f.members {
		cfg, err := m.Config()
		if err != nil {
			return err
		}
		if f.in[name], err = newPerson("the administrator of "+name, cfg); err != nil {
			return err
		}
		f.in[name].mapper = f.admin.mapper // the kinds that tests use are the same
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// soon is for what takes a moment on an idle machine; tests wait that long only when they fail.
const soon = 90 * time.Second

// eventually waits until cond returns nil. When the deadline passes, the test fails with what cond said last.
func eventually(t *testing.T, cond func(ctx context.Context) error) {
	t.Helper()
	last := errors.New("nothing was seen")
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, soon, true, func(ctx context.Context) (bool, error) {
		if err := cond(ctx); ctx.Err() == nil {
			last = err
		}
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("not within %s: %v", soon, last)
	}
}

// namespace makes a namespace at the hub that goes with the test.
func (f *fed) namespace(t *testing.T, name string) string {
	t.Helper()
	namespaces := f.admin.CoreV1().Namespaces()
	_, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { _ = namespaces.Delete(context.Background(), name, metav1.DeleteOptions{}) }) // the federation ends soon anyway
	return name
}

// objects reads YAML documents.
func objects(t *testing.T, documents string) (all []*unstructured.Unstructured) {
	t.Helper()
	for _, document := range strings.Split(documents, "\n---\n") {
		u := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal([]byte(document), &u.Object))
		all = append(all, u)
	}
	return all
}

// at says where a person reaches objects of the kind of o, in its namespace.
func (p *person) at(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk, mapper := o.GroupVersionKind(), suite.admin.mapper
	m, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		mapper.Reset()
		m, err = mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, err
	}
	return p.dynamic.Resource(m.Resource).Namespace(o.GetNamespace()), nil
}

// create creates what YAML documents say, up to the first that is refused.
func (p *person) create(t *testing.T, documents string) error {
	t.Helper()
	for _, o := range objects(t, documents) {
		at, err := p.at(o)
		must(t, err)
		if _, err := at.Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
			return err
		}
		if o.GetNamespace() == "" {
			t.Cleanup(func() { _ = suite.remove(o) })
		}
	}
	return nil
}

// apply is create for objects that may be there already, by server-side apply.
func (p *person) apply(t *testing.T, documents string) error {
	t.Helper()
	for _, o := range objects(t, documents) {
		at, err := p.at(o)
		must(t, err)
		if _, err := at.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
			return err
		}
		if o.GetNamespace() == "" {
			t.Cleanup(func() { _ = suite.remove(o) })
		}
	}
	return nil
}

// remove deletes an object that is in no namespace, as its test is over.
func (f *fed) remove(o *unstructured.Unstructured) error {
	at, err := f.admin.at(o)
	if err != nil {
		return err
	}
	return at.Delete(context.Background(), o.GetName(), metav1.DeleteOptions{})
}

// read is an object as a person sees it; o says which.
func (p *person) read(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	at, err := p.at(o)
	if err != nil {
		return nil, err
	}
	return at.Get(ctx, o.GetName(), metav1.GetOptions{})
}

// cluster is a Cluster at the hub.
func (f *fed) cluster(ctx context.Context, name string) (*v1alpha1.Cluster, error) {
	u, err := f.admin.dynamic.Resource(v1alpha1.Resource("clusters")).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	c := &v1alpha1.Cluster{}
	return c, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, c)
}

// refused fails the test unless err is a refusal that says all of the words: what is missing, and who can grant it.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("nobody stopped it")
	}
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		t.Fatalf("it failed, but not because it was refused: %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the refusal does not say %q: %v", word, err)
		}
	}
}

func present(err error) error {
	if err == nil {
		return fmt.Errorf("it is still there")
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
