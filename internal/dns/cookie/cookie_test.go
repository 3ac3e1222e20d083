package cookie

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The reference vectors of SipHash-2-4: key 00…0f, input the bytes 0, 1, 2, ….
func TestSipHashReference(t *testing.T) {
	want := []string{
		"310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785",
		"b7877127e09427cf", "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab",
		"6224939a79f5f593",
	}
	var secret [16]byte
	input := make([]byte, 64)
	for i := range input {
		input[i] = byte(i)
	}
	copy(secret[:], input)
	for n, w := range want {
		var got [8]byte
		binary.LittleEndian.PutUint64(got[:], sipHash(newKey(secret), input[:n]))
		if hex.EncodeToString(got[:]) != w {
			t.Errorf("%d bytes: %x, want %s", n, got, w)
		}
	}
	if got := sipHash(newKey(secret), input[:15]); got != 0xa129ca6149be45e5 { // the paper's example
		t.Errorf("15 bytes: %x", got)
	}
}

// RFC 9018, appendix A.
func TestVectorsOfRFC9018(t *testing.T) {
	const (
		first    = "e5e973e5a6b2a43f48e7dc849e37bfcf"
		previous = "dd3bdf9344b678b185a6f5cb60fca715"
		current  = "445536bcd2513298075a5d379663c962"
	)
	for _, c := range []struct {
		name, client string
		secrets      []string // in the order they were in force
		received     string
		at           int64
		reply        string
	}{
		{"A.1 a new cookie", "198.51.100.100", []string{first}, "",
			0x5cf79f11, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"A.2 the same client, later", "198.51.100.100", []string{first}, "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
			0x5cf7a871, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
		{"A.3 reserved bits are set", "203.0.113.203", []string{first}, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
			0x5cf7a9ac, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
		{"A.4 IPv6, and a new secret", "2001:db8:220:1:59de:d0f4:8769:82b8", []string{previous, current}, "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
			0x5cf7c609, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			jar := New(secret(t, c.secrets[0]))
			for _, s := range c.secrets[1:] {
				jar.Rotate(secret(t, s))
			}
			addr, now := netip.MustParseAddr(c.client), time.Unix(c.at, 0)
			if c.received != "" {
				option := unhex(t, c.received)
				made := time.Unix(int64(binary.BigEndian.Uint32(option[12:])), 0) // A.3 renews one of two hours ago
				if !jar.Valid(option, addr, made.Add(time.Minute)) {
					t.Errorf("%s is not accepted", c.received)
				}
			}
			want := unhex(t, c.reply)
			client := [8]byte(want)
			if got := jar.Append(client[:], client, addr, now); string(got) != string(want) {
				t.Errorf("made\n%x, want\n%x", got, want)
			}
		})
	}
}

// What was made is valid for an hour, and for five minutes by a clock that is
// behind, whatever the time; and neither elsewhere, nor changed in any bit, nor
// under a foreign secret.
func TestValidity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jar := New([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "secret")))
		client := [8]byte(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "client"))
		addr := drawAddr(t, "addr")
		made := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "made"), 0)
		option := jar.Append(client[:], client, addr, made)

		age := rapid.OneOf(rapid.Int64Range(-400, 4000), rapid.SampledFrom([]int64{-301, -300, 0, 3600, 3601})).Draw(t, "age")
		now := made.Add(time.Duration(age) * time.Second)
		if got, want := jar.Valid(option, addr, now), age >= -300 && age <= 3600; got != want {
			t.Fatalf("age %d s: valid is %v", age, got)
		}
		if other := drawAddr(t, "other"); other != addr && jar.Valid(option, other, made) {
			t.Fatalf("made for %s, valid for %s", addr, other)
		}
		bit := rapid.IntRange(0, len(option)*8-1).Draw(t, "bit")
		changed := append([]byte(nil), option...)
		changed[bit/8] ^= 1 << (bit % 8)
		if jar.Valid(changed, addr, made) {
			t.Fatalf("valid with bit %d changed", bit)
		}
		if New([16]byte{1, 2, 3}).Valid(option, addr, made) {
			t.Fatal("valid under another secret")
		}
	})
}

func TestRotateKeepsOnePreviousSecret(t *testing.T) {
	jar, addr, now := New([16]byte{1}), netip.MustParseAddr("192.0.2.1"), time.Unix(1e9, 0)
	option := jar.Append(make([]byte, 8), [8]byte{}, addr, now)
	for i, want := range []bool{true, false} {
		jar.Rotate([16]byte{byte(i + 2)})
		if got := jar.Valid(option, addr, now); got != want {
			t.Errorf("after %d new secrets: valid is %v", i+1, got)
		}
	}
	// The zero key, which is what no previous secret looks like, is not one.
	forged := New([16]byte{}).Append(make([]byte, 8), [8]byte{}, addr, now)
	if New([16]byte{1}).Valid(forged, addr, now) {
		t.Error("a cookie made with a secret of zeros is accepted by a jar that never had it")
	}
}

func TestMappedAddressIsTheIPv4Address(t *testing.T) {
	jar, now := New([16]byte{1}), time.Unix(1e9, 0)
	option := jar.Append(make([]byte, 8), [8]byte{}, netip.MustParseAddr("192.0.2.1"), now)
	if !jar.Valid(option, netip.MustParseAddr("::ffff:192.0.2.1"), now) {
		t.Error("not valid from the same address as a socket for both families shows it")
	}
}

func TestNoAllocation(t *testing.T) {
	jar, addr, now := New([16]byte{1}), netip.MustParseAddr("2001:db8::1"), time.Unix(1e9, 0)
	buffer := make([]byte, 8, 64)
	valid := true
	allocs := testing.AllocsPerRun(100, func() {
		valid = valid && jar.Valid(jar.Append(buffer, [8]byte{}, addr, now), addr, now)
	})
	if allocs != 0 || !valid {
		t.Errorf("%v allocations, valid %v", allocs, valid)
	}
}

func FuzzValid(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 8))
	f.Add(make([]byte, 24))
	f.Add(make([]byte, 40))
	jar, now := New([16]byte{1}), time.Unix(1e9, 0)
	f.Fuzz(func(t *testing.T, option []byte) {
		if jar.Valid(option, netip.MustParseAddr("192.0.2.1"), now) {
			t.Errorf("%x was not made here and is valid", option)
		}
	})
}

func BenchmarkValid(b *testing.B) {
	jar, addr, now := New([16]byte{1}), netip.MustParseAddr("192.0.2.1"), time.Unix(1e9, 0)
	option := jar.Append(make([]byte, 8), [8]byte{}, addr, now)
	b.ReportAllocs()
	for b.Loop() {
		jar.Valid(option, addr, now)
	}
}

func drawAddr(t *rapid.T, label string) netip.Addr {
	n := rapid.SampledFrom([]int{4, 16}).Draw(t, label+" length")
	addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, label))
	return addr.Unmap()
}

func secret(t *testing.T, s string) [16]byte {
	t.Helper()
	return [16]byte(unhex(t, s))
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
