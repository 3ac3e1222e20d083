package geo

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestEncodeIsUndoneByDecode(t *testing.T) {
	d, err := parse(mmdb("x",
		network{"1.0.0.0/8", city("OC", "AU", "NSW")},
		network{"255.0.0.0/8", city("OC", "AU", "")},
		network{"2a00:1450::/127", city("EU", "IE", "")},
		network{"3000::/12", city("EU", "FR", "")},
	))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := d.Encode(&b, d.About()); err != nil {
		t.Fatal(err)
	}
	got, err := decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got.about != d.about || !slices.Equal(got.places, d.places) || !slices.Equal(got.share, d.share) ||
		!slices.Equal(got.v4.blocks, d.v4.blocks) || !slices.Equal(got.v4.starts, d.v4.starts) || !slices.Equal(got.v4.locations, d.v4.locations) ||
		!slices.Equal(got.v6.first, d.v6.first) || !slices.Equal(got.v6.starts, d.v6.starts) || !slices.Equal(got.v6.locations, d.v6.locations) {
		t.Errorf("%s is another after encoding and decoding", d.About())
	}
}

func TestAboutGivesAttribution(t *testing.T) {
	about := open(t).About()
	for _, want := range []string{"DB-IP", "https://db-ip.com", "CC BY 4.0", "2026-06"} {
		if !strings.Contains(about, want) {
			t.Errorf("%q does not say %q", about, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	d, err := parse(mmdb("x", network{"1.0.0.0/8", city("OC", "AU", "NSW")}))
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := d.Encode(&b, "about"); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()/2])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := decode(bytes.NewReader(data)); err == nil && len(d.Places()) == 0 {
			t.Fatal("no places")
		}
	})
}
