package watch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/limits"
)

// NewClient makes a client for any number of REST sources. It asks as often as they do: Run paces them.
func NewClient(cfg *rest.Config) (rest.Interface, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	cfg.QPS, cfg.RateLimiter = -1, nil
	return rest.UnversionedRESTClientFor(cfg)
}

// REST is a resource behind a client. Of no answer more is read than package limits has as the size of one.
type REST[O metav1.Object] struct {
	Client rest.Interface
	// Path is the collection's; see Path.
	Path   string
	Format Format[O]
	// Known, if not nil, says of a version of an object, which was added or modified, that nothing has to be done about it. Of
	// Unstructured objects such a one is not even decoded.
	Known func(Head) bool
}

// Path is where a resource is listed: in a namespace, or with an empty one in all.
func Path(r schema.GroupVersionResource, namespace string) string {
	path := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		path = "/api/" + r.Version
	}
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.Resource
}

func (s REST[O]) get(ctx context.Context, o metav1.ListOptions) (io.ReadCloser, error) {
	return s.Client.Get().AbsPath(s.Path).SetHeader("Accept", s.Format.accept).MaxRetries(0).
		SpecificallyVersionedParams(&o, metav1.ParameterCodec, schema.GroupVersion{Version: "v1"}).Stream(ctx)
}

// List is of Source. Of JSON, one object is in memory at once.
func (s REST[O]) List(ctx context.Context, o metav1.ListOptions, each func(O) error) (metav1.ListMeta, error) {
	body, err := s.get(ctx, o)
	if err != nil {
		return metav1.ListMeta{}, err
	}
	bounded := limits.Reader(body, limits.Response, "GET "+s.Path)
	defer func() { _ = bounded.Close() }()
	reader := bufio.NewReader(bounded)
	if begin, _ := reader.Peek(len(binaryMagic)); string(begin) != string(binaryMagic) {
		return s.Format.readJSON(reader, each)
	}
	data, err := io.ReadAll(reader)
	if err != nil {
		return metav1.ListMeta{}, err
	}
	return s.Format.page(data, each)
}

// Watch is of Source.
func (s REST[O]) Watch(ctx context.Context, o metav1.ListOptions) (Stream[O], error) {
	o.Watch = true
	body, err := s.get(limits.Bounded(ctx), o) // see frames
	if err != nil {
		return nil, err
	}
	return &stream[O]{body: body, format: s.Format, known: s.Known, frames: frames{body: body, limit: limits.Event, what: "a watch of " + s.Path}}, nil
}

type stream[O metav1.Object] struct {
	body   io.Closer
	format Format[O]
	known  func(Head) bool
	frames frames
}

func (s *stream[O]) Next() (Event[O], error) {
	frame, err := s.frames.next()
	if err != nil {
		return Event[O]{}, err
	}
	return s.format.event(frame, s.frames.binary, s.known)
}

func (s *stream[O]) Close() { _ = s.body.Close() }

// statusOf is the error that a server sends in a watch.
func statusOf(data []byte) error {
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		return garbled("an error that is none: %v", err)
	}
	var status apierrors.APIStatus
	if err := apierrors.FromObject(object); errors.As(err, &status) {
		return err
	}
	return garbled("an error that is a %T", object)
}

// eventType is a type of an event; one that is unknown is not kept in memory.
func eventType(s string) apiwatch.EventType {
	for _, known := range []apiwatch.EventType{apiwatch.Added, apiwatch.Modified, apiwatch.Deleted, apiwatch.Bookmark} {
		if s == string(known) {
			return known
		}
	}
	return apiwatch.EventType(limited(s))
}

// limited is enough of a text of others for a message.
func limited(s string) string { return s[:min(len(s), 50)] }

// readJSON reads a list object by object.
func (f Format[O]) readJSON(r io.Reader, each func(O) error) (metav1.ListMeta, error) {
	l := &jsonList[O]{format: f, decoder: json.NewDecoder(r), each: each}
	err := l.read()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	case errors.As(err, &syntax), errors.As(err, &kind):
		err = garbled("what is no list: %s", limited(err.Error()))
	}
	return l.head, err
}

// jsonList is a list of which one object is in memory at once.
type jsonList[O metav1.Object] struct {
	format  Format[O]
	decoder *json.Decoder
	each    func(O) error
	head    metav1.ListMeta
	raw     json.RawMessage
	// kind and apiVersion of the list. Where they come after the items, these say of what kind they are themselves.
	kind, apiVersion string
}

func (l *jsonList[O]) read() error {
	if err := l.expect('{'); err != nil {
		return err
	}
	for l.decoder.More() {
		field, err := l.decoder.Token()
		if err != nil {
			return err
		}
		switch field {
		case "kind":
			err = l.decoder.Decode(&l.kind)
		case "apiVersion":
			err = l.decoder.Decode(&l.apiVersion)
		case "metadata":
			err = l.decoder.Decode(&l.head)
		case "items":
			err = l.items()
		default:
			err = l.decoder.Decode(&l.raw)
		}
		if err != nil {
			return err
		}
	}
	if want := l.format.kind; want != "" && l.kind != want+"List" || l.kind == "Status" {
		return garbled("a %q instead of a list", limited(l.kind))
	}
	return l.expect('}')
}

func (l *jsonList[O]) items() error {
	token, err := l.decoder.Token()
	if err != nil || token == nil { // null
		return err
	}
	if token != json.Delim('[') {
		return garbled("items that are no list")
	}
	for l.decoder.More() {
		if err := l.decoder.Decode(&l.raw); err != nil {
			return err
		}
		o, err := l.format.decode(l.raw)
		if err != nil {
			return err
		}
		if l.format.name != nil {
			l.format.name(o, l.apiVersion, strings.TrimSuffix(l.kind, "List"))
		}
		if err := l.each(o); err != nil {
			return err
		}
	}
	return l.expect(']')
}

func (l *jsonList[O]) expect(d json.Delim) error {
	token, err := l.decoder.Token()
	if err != nil {
		return err
	}
	if token != d {
		return garbled("what is no list")
	}
	return nil
}
