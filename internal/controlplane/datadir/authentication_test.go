package datadir

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"sigs.k8s.io/yaml"
)

func authenticationOf(t *testing.T, o *OIDC) apiserverv1.AuthenticationConfiguration {
	t.Helper()
	path, err := open(t, t.TempDir()).WriteAuthentication(o)
	if err != nil {
		t.Fatal(err)
	}
	var config apiserverv1.AuthenticationConfiguration
	if err := yaml.UnmarshalStrict(read(t, path), &config); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestNobodyIsLetInByDefault(t *testing.T) {
	config := authenticationOf(t, nil)
	var paths []string
	for _, c := range config.Anonymous.Conditions {
		paths = append(paths, c.Path)
	}
	if len(config.JWT) != 0 || !slices.Equal(paths, []string{"/livez", "/readyz", "/healthz", "/hanse/login", "/hanse/keys"}) {
		t.Errorf("%+v", config)
	}
}

func TestOIDC(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, []byte("the CA"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name                 string
		o                    OIDC
		userPrefix           string
		groups, groupsPrefix string
	}{
		{"names are the provider's by default", OIDC{UsernameClaim: "sub"}, "https://id.example.com#", "", ""},
		{"an email stands for itself", OIDC{UsernameClaim: "email"}, "", "", ""},
		{"no prefix", OIDC{UsernameClaim: "sub", UsernamePrefix: "-", GroupsClaim: "groups", GroupsPrefix: "-"}, "", "groups", ""},
		{"prefixes", OIDC{UsernameClaim: "email", UsernamePrefix: "oidc:", GroupsClaim: "roles", GroupsPrefix: "oidc:"}, "oidc:", "roles", "oidc:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.IssuerURL, test.o.ClientID, test.o.CAFile = "https://id.example.com", "hanse", ca
			test.o.RequiredClaims = map[string]string{"b": "2", "a": "1"}
			config := authenticationOf(t, &test.o)
			jwt := config.JWT[0]
			mapped := jwt.ClaimMappings
			if *mapped.Username.Prefix != test.userPrefix || mapped.Username.Claim != test.o.UsernameClaim || mapped.Groups.Claim != test.groups {
				t.Errorf("%+v", mapped)
			}
			if test.groups != "" && *mapped.Groups.Prefix != test.groupsPrefix {
				t.Errorf("groups have the prefix %q", *mapped.Groups.Prefix)
			}
			if jwt.Issuer.URL != test.o.IssuerURL || !slices.Equal(jwt.Issuer.Audiences, []string{"hanse"}) || jwt.Issuer.CertificateAuthority != "the CA" {
				t.Errorf("%+v", jwt.Issuer)
			}
			if rules := jwt.ClaimValidationRules; len(rules) != 2 || rules[0].Claim != "a" || rules[1].RequiredValue != "2" {
				t.Errorf("%+v", rules)
			}
			if len(jwt.UserValidationRules) != 4 {
				t.Errorf("the provider may give any name: %+v", jwt.UserValidationRules)
			}
		})
	}
}

func TestOIDCIsRefused(t *testing.T) {
	d := open(t, t.TempDir())
	good := OIDC{IssuerURL: "https://id.example.com", ClientID: "hanse", UsernameClaim: "sub"}
	for part, spoil := range map[string]func(*OIDC){
		"--oidc-client-id and":     func(o *OIDC) { o.IssuerURL = "" },
		"is not the URL":           func(o *OIDC) { o.IssuerURL = "http://id.example.com" },
		"--oidc-issuer-url needs":  func(o *OIDC) { o.ClientID = "" },
		"--oidc-username-claim is": func(o *OIDC) { o.UsernameClaim = "" },
		"--oidc-groups-prefix":     func(o *OIDC) { o.GroupsPrefix = "x" },
		"--oidc-ca-file":           func(o *OIDC) { o.CAFile = "nowhere" },
	} {
		o := good
		spoil(&o)
		_, err := d.WriteAuthentication(&o)
		wantSentence(t, err, part)
	}
}

func TestSaysAnonymous(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yaml")
	for content, want := range map[string]bool{"jwt: []": false, "anonymous: {enabled: false}": true} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := SaysAnonymous(file); err != nil || got != want {
			t.Errorf("%s: %v, %v", content, got, err)
		}
	}
	if err := os.WriteFile(file, []byte("jwt: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SaysAnonymous(file); err == nil {
		t.Error("jwt: 1 was taken")
	}
	_, err := SaysAnonymous(file + "x")
	wantSentence(t, err, "--authentication-config")
}
