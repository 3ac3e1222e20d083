package flight

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(n int) time.Time { return time.Unix(1_700_000_000, int64(n)).UTC() }

func collect(t rapid.TB, path string) (all []Record) {
	t.Helper()
	if err := Read(path, func(rec Record, _ bool) error {
		all = append(all, rec)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTheNewestAreThere: whatever is written, in however many runs, the ring keeps within its bound, and what is in it
// is the newest, without a gap.
func TestTheNewestAreThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "flight")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		bound := rapid.Int64Range(8<<10, 64<<10).Draw(t, "bound")
		n := 0
		for range rapid.IntRange(1, 4).Draw(t, "runs") {
			ring, err := Open(dir, bound)
			if err != nil {
				t.Fatal(err)
			}
			for range rapid.IntRange(0, 200).Draw(t, "records") {
				payload := fmt.Appendf(nil, "%d:%s", n, bytes.Repeat([]byte("x"), rapid.IntRange(0, 600).Draw(t, "size")))
				if err := ring.Append(Record{At: at(n), Kind: byte(n), Payload: payload}); err != nil {
					t.Fatal(err)
				}
				n++
			}
			if err := ring.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var size int64
		names, _ := segmentsIn(dir)
		for _, name := range names {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		if size > bound {
			t.Fatalf("%d bytes on disk, at most %d were allowed", size, bound)
		}
		all := collect(t, dir)
		if n > 0 && len(all) == 0 {
			t.Fatal("nothing is left")
		}
		for i, rec := range all {
			want := n - len(all) + i
			if got := string(bytes.SplitN(rec.Payload, []byte(":"), 2)[0]); got != fmt.Sprint(want) || !rec.At.Equal(at(want)) || rec.Kind != byte(want) {
				t.Fatalf("record %d of %d is %s at %s, want %d", i, len(all), got, rec.At, want)
			}
		}
	})
}

// TestWhatIsCutOffOrDamagedEndsASegment: what comes before it is read, and what later runs wrote.
func TestWhatIsCutOffOrDamagedEndsASegment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "flight")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		write := func(from, to int) {
			ring, err := Open(dir, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for i := from; i < to; i++ {
				if err := ring.Append(Record{At: at(i), Payload: fmt.Appendf(nil, "record %d", i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := ring.Close(); err != nil {
				t.Fatal(err)
			}
		}
		write(0, 10)
		names, err := segmentsIn(dir)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, names[0])
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		spot := rapid.IntRange(len(magic), len(content)-1).Draw(t, "spot")
		if rapid.Bool().Draw(t, "cut") {
			content = content[:spot]
		} else {
			content[spot] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		write(10, 20)
		all := collect(t, dir)
		if len(all) < 10 || len(all) >= 20 {
			t.Fatalf("%d records were read of 20, of which one is damaged", len(all))
		}
		for i, rec := range all {
			want := i
			if i >= len(all)-10 {
				want = 20 - len(all) + i
			}
			if string(rec.Payload) != fmt.Sprintf("record %d", want) {
				t.Fatalf("record %d is %q, want that of %d", i, rec.Payload, want)
			}
		}
	})
}

func TestASegmentBeginsWithWhatItNeeds(t *testing.T) {
	dir := t.TempDir()
	ring, err := Open(dir, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if err := ring.Append(Record{At: at(i), Kind: 'R', Payload: bytes.Repeat([]byte{1}, 100)}); err != nil {
			t.Fatal(err)
		}
		if ring.Full() {
			if err := ring.Next([]Record{{Kind: 'S', Payload: fmt.Append(nil, i)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := ring.Close(); err != nil {
		t.Fatal(err)
	}
	begun := 0
	err = Read(dir, func(rec Record, first bool) error {
		if first != (rec.Kind == 'S') {
			t.Errorf("a segment begins with %q, first: %v", rec.Kind, first)
		}
		if first {
			begun++
		}
		return nil
	})
	if err != nil || begun < 4 {
		t.Errorf("%d segments, %v", begun, err)
	}
}

func TestAnotherFileIsNoRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: v1\nkind: ConfigMap\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Read(path, func(Record, bool) error { return nil }); err == nil {
		t.Error("a manifest is read as a recording")
	}
	if err := Read(filepath.Join(t.TempDir(), "none"), func(Record, bool) error { return nil }); err == nil {
		t.Error("a file that is not there is read")
	}
}

// FuzzReadSegment: whatever is in a file, reading it ends and takes no more memory than the file.
func FuzzReadSegment(f *testing.F) {
	f.Add([]byte(magic))
	f.Add([]byte(magic + "\xff\xff\xff\x07\x02R\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		_ = ReadSegment(bytes.NewReader(content), func(rec Record, _ bool) error {
			if len(rec.Payload) > len(content) {
				t.Errorf("a record of %d bytes in %d", len(rec.Payload), len(content))
			}
			return nil
		})
	})
}

func BenchmarkAppend(b *testing.B) {
	ring, err := Open(b.TempDir(), 256<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = ring.Close() }()
	payload := bytes.Repeat([]byte("x"), 2000)
	b.ReportAllocs()
	for b.Loop() {
		if err := ring.Append(Record{At: at(1), Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
}
