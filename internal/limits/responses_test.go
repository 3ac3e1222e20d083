package limits

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"pgregory.net/rapid"
)

func TestResponsesAreBounded(t *testing.T) {
	var body func(io.Writer)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		b := bufio.NewWriterSize(w, 1<<20)
		body(b)
		_ = b.Flush() // the client may have gone
	}))
	t.Cleanup(server.Close)
	var told error
	client, err := rest.HTTPClientFor(Responses(&rest.Config{Host: server.URL}, Response, func(err error) { told = err }))
	if err != nil {
		t.Fatal(err)
	}
	mebibytes := func(n int, piece string) func(io.Writer) {
		return func(w io.Writer) {
			chunk := strings.Repeat(piece, (1<<20)/len(piece))
			for range n {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
		}
	}
	event := func(n int) func(io.Writer) {
		return func(w io.Writer) {
			_, _ = io.WriteString(w, `{"type":"ADDED","object":{"data":"`)
			mebibytes(n, `}\"{]`+"\\\\ ")(w)
			_, _ = io.WriteString(w, `"}}`+"\n")
		}
	}
	many := func(n int) func(io.Writer) {
		return func(w io.Writer) {
			for range n {
				event(5)(w)
			}
		}
	}
	for name, c := range map[string]struct {
		query string
		body  func(io.Writer)
		fails bool
	}{
		"an answer within the limit":      {"", mebibytes(Response>>20, "x"), false},
		"one byte more":                   {"", func(w io.Writer) { mebibytes(Response>>20, "x")(w); _, _ = io.WriteString(w, "x") }, true},
		"without end":                     {"", mebibytes(1<<20, "x"), true},
		"a long watch":                    {"?watch=true", many(10), false},
		"an event without end":            {"?watch=true", event(1 << 20), true},
		"a list of events, one too large": {"?watch=1&sendInitialEvents=true", func(w io.Writer) { many(3)(w); event(9)(w) }, true},
		"white space without end":         {"?watch=true", mebibytes(1<<20, "\n"), true},
		"braces without end":              {"?watch=true", mebibytes(1<<20, "{"), true},
		"an unfinished text":              {"?watch=true", func(w io.Writer) { _, _ = io.WriteString(w, `"`); mebibytes(1<<20, "{}\n")(w) }, true},
	} {
		body, told = c.body, nil
		response, err := client.Get(server.URL + "/api/v1/configmaps" + c.query)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		var large *TooLarge
		if errors.As(err, &large) != c.fails || err != nil && !c.fails {
			t.Errorf("%s: %v after %d bytes", name, err, n)
		}
		if watch := c.query != ""; (told != nil) != (watch && c.fails) {
			t.Errorf("%s: the session was told %v", name, told)
		}
	}
}

// TestEventsAreToldApart: whatever is in them, events of a stream are counted one by one.
func TestEventsAreToldApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream strings.Builder
		longest := 0
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			value := map[string]any{rapid.String().Draw(t, "key"): []any{rapid.String().Draw(t, "text"), map[string]any{"a": rapid.Int().Draw(t, "number")}, nil}}
			encoded, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			longest = max(longest, len(encoded)+1) // with the line's end before it
			fmt.Fprintf(&stream, "%s\n", encoded)
		}
		read := func(limit int) error {
			_, err := io.ReadAll(&events{ReadCloser: io.NopCloser(strings.NewReader(stream.String())), tooLarge: &TooLarge{"x", int64(limit)}, tell: func(error) {}})
			return err
		}
		if err := read(longest); err != nil {
			t.Fatalf("with a limit of the longest, %d: %v", longest, err)
		}
		if err := read(longest - 3); err == nil {
			t.Fatal("the longest event passes below its length")
		}
	})
}

// TestPiecesEndWhereBytesDo: whatever pieces it comes in, a stream has the ends that are found byte by byte.
func TestPiecesEndWhereBytesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := []byte(rapid.StringOf(rapid.SampledFrom([]rune(`{}[]"\,a `))).Draw(t, "stream"))
		var want, got []int
		var one, other Splitter
		for i, c := range stream {
			if one.Ends(c) {
				want = append(want, i+1)
			}
		}
		for begin := 0; begin < len(stream); {
			end := min(len(stream), begin+rapid.IntRange(1, 9).Draw(t, "piece"))
			for at := begin; at < end; {
				taken, ends := other.Next(stream[at:end])
				if at += taken; ends {
					got = append(got, at)
				}
			}
			begin = end
		}
		if !slices.Equal(got, want) || one != other {
			t.Fatalf("%s ends at %v, want %v", stream, got, want)
		}
	})
}

// TestWhoBoundsEventsIsNotWatched: they are looked at once.
func TestWhoBoundsEventsIsNotWatched(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
	}))
	defer server.Close()
	client, err := rest.HTTPClientFor(Responses(&rest.Config{Host: server.URL}, Response, nil))
	if err != nil {
		t.Fatal(err)
	}
	for bounded, ctx := range map[bool]context.Context{true: Bounded(t.Context()), false: t.Context()} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"?watch=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, watched := response.Body.(*events); watched == bounded {
			t.Errorf("bounded %v, watched %v", bounded, watched)
		}
		_ = response.Body.Close()
	}
}
