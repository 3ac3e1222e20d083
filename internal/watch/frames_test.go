package watch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/limits"
)

// torn is read in pieces.
type torn struct {
	data   []byte
	pieces []int
}

func (r *torn) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(r.pieces) > 0 {
		n, r.pieces = r.pieces[0], r.pieces[1:]
	}
	n = copy(p, r.data[:min(n, len(r.data))])
	r.data = r.data[n:]
	return n, nil
}

// TestFrames: however a stream is torn, the events in it come out whole, in either encoding, and leave no buffer.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inBinary := rapid.Bool().Draw(t, "binary")
		var stream []byte
		var want []string
		longest := 0
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			text := strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(0, 500).Draw(t, "times"))
			data, err := json.Marshal(map[string]any{"a": []any{text, map[string]any{"b": nil}}})
			if err != nil {
				t.Fatal(err)
			}
			want, longest = append(want, string(data)), max(longest, len(data))
			if inBinary {
				stream = append(binary.BigEndian.AppendUint32(stream, uint32(len(data))), data...)
			} else {
				stream = append(append(stream, data...), rapid.SampledFrom([]string{"", "\n", "\r\n  "}).Draw(t, "between")...)
			}
		}
		f := frames{body: &torn{stream, rapid.SliceOf(rapid.IntRange(1, 100)).Draw(t, "pieces")}, limit: longest + 8}
		for i, w := range want {
			frame, err := f.next()
			if err != nil || strings.TrimSpace(string(frame)) != w {
				t.Fatalf("event %d: %.100q, %v; want %.100q", i, frame, err, w)
			}
		}
		if frame, err := f.next(); err != io.EOF {
			t.Fatalf("after the last: %q, %v", frame, err)
		}
		if f.buffer != nil {
			t.Fatalf("a buffer of %d bytes is kept", cap(f.buffer))
		}
		f = frames{body: &torn{data: stream[:len(strings.TrimRight(string(stream), "\r\n "))-1]}, limit: longest + 8}
		err := error(nil)
		for range len(want) {
			_, err = f.next()
		}
		if err != io.ErrUnexpectedEOF {
			t.Fatalf("the last is cut short: %v", err)
		}
		f = frames{body: &torn{data: stream}, limit: longest - 1}
		for err = nil; err == nil; {
			_, err = f.next()
		}
		var large *limits.TooLarge
		if !errors.As(err, &large) {
			t.Fatalf("with a limit below the longest: %v", err)
		}
	})
}

// FuzzStream: no stream of bytes has more in memory than an event may have, or an event without an object.
func FuzzStream(f *testing.F) {
	event := metav1.WatchEvent{Type: "ADDED"}
	event.Object.Raw = []byte(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}`)
	raw, _ := event.Marshal()
	f.Add([]byte(`{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1"}}` + "\n" + `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410}}`))
	f.Add([]byte(`{"type":"BOOKMARK","object":null}{"type":7}`))
	f.Add(append([]byte{0, 0, 0, byte(len(raw))}, raw...))
	f.Add([]byte("\x00\x00\x00\x00\x00"))
	const limit = 1000
	f.Fuzz(func(t *testing.T, data []byte) {
		s := stream[*corev1.Pod]{format: Typed[*corev1.Pod](podKind), frames: frames{body: &torn{data: data}, limit: limit}}
		for {
			e, err := s.Next()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if len(s.frames.buffer) > limit+4*firstBuffer {
				t.Fatalf("%d bytes are in memory", len(s.frames.buffer))
			}
			if err == nil && e.Object == nil {
				t.Fatal("an event without object")
			}
			var large *limits.TooLarge
			if errors.As(err, &large) {
				return
			}
		}
	})
}

// FuzzList: whatever a list is, it is a list with a kind or an error.
func FuzzList(f *testing.F) {
	f.Add([]byte(`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"x"}},null]}`))
	f.Add([]byte("k8s\x00\x0a\x0d"))
	f.Fuzz(func(t *testing.T, data []byte) {
		format := Typed[*corev1.Pod](podKind)
		each := func(p *corev1.Pod) error {
			if p == nil {
				t.Fatal("nil is no pod")
			}
			return nil
		}
		_, _ = format.page(data, each)
		if _, err := format.readJSON(strings.NewReader(string(data)), each); err == nil && !strings.Contains(string(data), "List") {
			t.Fatalf("%q passes for a list", data)
		}
	})
}
