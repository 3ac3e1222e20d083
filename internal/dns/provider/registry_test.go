package provider

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestOwnershipIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(1, 80, 300)
		o := Ownership{Owner: text.Draw(t, "owner"), Type: "A", ID: text.Draw(t, "id"), Route: text.Draw(t, "route")}
		got, ok := ParseOwnership(o.String())
		if !ok || got != o {
			t.Fatalf("%q is read as %+v, %v", o.String(), got, ok)
		}
	})
}

func TestOwnershipIsTolerant(t *testing.T) {
	want := Ownership{Owner: "hub-1", Type: "AAAA", ID: "hub-1/EU", Route: "shop/web"}
	for _, s := range []string{
		`"heritage=hanse,owner=hub-1,type=AAAA,id=hub-1/EU,route=shop/web"`,
		`heritage=hanse,owner=hub-1,type=AAAA,id=hub-1/EU,route=shop/web`,
		`"route=shop/web, type=aaaa , OWNER=hub-1,later=1" ",id=hub-1%2FEU,heritage=hanse"`,
		`"heritage=hanse,owner=hub\0451,type=AAAA,id=hub-1/EU,route=shop/we\b"`,
	} {
		if got, ok := ParseOwnership(s); !ok || got != want {
			t.Errorf("%s: %+v, %v", s, got, ok)
		}
	}
	for _, s := range []string{
		"", `"v=spf1 -all"`, `"heritage=external-dns,owner=hub-1,type=A"`, `"heritage=hanse,type=A"`, `"heritage=hanse,owner=a"`,
		`"heritage=hanse,owner=a,owner=b,type=A"`, `"heritage=hanse,owner=%zz,type=A"`,
	} {
		if got, ok := ParseOwnership(s); ok {
			t.Errorf("%s is read as %+v", s, got)
		}
	}
}

func TestRegistryName(t *testing.T) {
	seen := map[string]Key{}
	for _, name := range []string{"example.org.", "*.example.org.", "_any.example.org.", "any.example.org.", "www.example.org.", "*.www.example.org."} {
		for _, typ := range []string{"A", "AAAA", "CNAME"} {
			for _, id := range []string{"", "me/EU", "you/EU", strings.Repeat("x", 128)} {
				k := Key{name, typ, id}
				txt := RegistryName(k)
				if other, ok := seen[txt]; ok {
					t.Errorf("%v and %v have both %s", k, other, txt)
				}
				seen[txt] = k
				if got, ok := registryKey(txt, Ownership{Owner: "me", Type: typ, ID: id}); !ok || got != k {
					t.Errorf("%s is about %v, want %v", txt, got, k)
				}
				if label, _, _ := strings.Cut(txt, "."); len(label) > 63 {
					t.Errorf("label of %d bytes: %s", len(label), label)
				}
			}
		}
	}
	if k, ok := registryKey("_hanse-a.www.example.org.", Ownership{Owner: "me", Type: "MX"}); ok {
		t.Errorf("a record about something else is taken for %v", k)
	}
}

func FuzzParseOwnership(f *testing.F) {
	f.Add(`"heritage=hanse,owner=hub-1,type=AAAA,id=hub-1/EU,route=shop/web"`)
	f.Add(`"heritage=hanse" ",owner=\104%41,type=a"`)
	f.Add(`"\300\25`)
	f.Fuzz(func(t *testing.T, s string) {
		o, ok := ParseOwnership(s)
		if !ok {
			return
		}
		o.Type = strings.ToUpper(o.Type)
		if again, ok := ParseOwnership(o.String()); !ok || again != o {
			t.Fatalf("%q is %+v, its own form %q is %+v", s, o, o.String(), again)
		}
	})
}
