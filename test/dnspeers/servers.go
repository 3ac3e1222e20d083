package dnspeers

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// Knot starts Knot DNS.
func Knot(t testing.TB, c Config) *Server {
	t.Helper()
	knotd := Require(t, "knotd", "knot")
	return start(t, prepare(t, &c), knotd, "-c", write(t, &c, knotConf))
}

// BIND starts BIND's named.
func BIND(t testing.TB, c Config) *Server {
	t.Helper()
	named := Require(t, "named", "bind9")
	return start(t, prepare(t, &c), named, "-g", "-4", "-n", "1", "-c", write(t, &c, bindConf))
}

func prepare(t testing.TB, c *Config) Config {
	t.Helper()
	if (c.File == "") == (c.Primary == "") {
		t.Fatal("dnspeers.Config wants one of File and Primary")
	}
	if c.Listen == "" {
		c.Listen = FreePort(t)
	}
	c.Zone = strings.TrimSuffix(c.Zone, ".") + "."
	return *c
}

// write writes configuration and zone file to a directory of their own and
// returns the path of the former. The directory's path is short: a socket in it
// may not have a name of more than about a hundred characters, and a test's own
// directory does.
func write(t testing.TB, c *Config, conf string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dnspeer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	text, err := render(conf, c, dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"server.conf": text}
	if c.File != "" {
		files["zone.db"] = c.File
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "server.conf")
}

func render(conf string, c *Config, dir string) (string, error) {
	functions := template.FuncMap{
		"host": func(addr string) (string, error) { host, _, err := net.SplitHostPort(addr); return host, err },
		"port": func(addr string) (string, error) { _, port, err := net.SplitHostPort(addr); return port, err },
	}
	parsed, err := template.New("").Funcs(functions).Parse(conf)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = parsed.Execute(&text, struct {
		*Config
		Dir, Algorithm string
	}{c, dir, c.algorithm()})
	return text.String(), err
}

// algorithm is the key's, as configuration files want it.
func (c *Config) algorithm() string {
	if c.Key == nil {
		return ""
	}
	return strings.TrimSuffix(c.Key.Algorithm, ".")
}

const knotConf = `
server:
    listen: {{host .Listen}}@{{port .Listen}}
    rundir: "{{.Dir}}"
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
control:
    listen: "{{.Dir}}/knot.sock"
database:
    storage: "{{.Dir}}"
    journal-db-max-size: 100M
    kasp-db-max-size: 10M
    timer-db-max-size: 10M
log:
  - target: stdout
    any: info
{{- with .Key}}
key:
  - id: {{.Name}}
    algorithm: {{$.Algorithm}}
    secret: {{.Secret}}
{{- end}}
{{- with .Primary}}
remote:
  - id: primary
    address: {{host .}}@{{port .}}
    {{- with $.Key}}
    key: {{.Name}}
    {{- end}}
{{- end}}
acl:
  - id: peer
    address: 127.0.0.0/8
    {{- with .Key}}
    key: {{.Name}}
    {{- end}}
    action: [notify{{if .Transfers}}, transfer{{end}}{{if .Updates}}, update{{end}}]
zone:
  - domain: {{.Zone}}
    storage: "{{.Dir}}"
    file: zone.db
    acl: peer
    {{- if .Primary}}
    master: primary
    {{- end}}
`

const bindConf = `
options {
    directory "{{.Dir}}";
    pid-file none;
    session-keyfile "{{.Dir}}/session.key";
    managed-keys-directory "{{.Dir}}";
    listen-on port {{port .Listen}} { {{host .Listen}}; };
    listen-on-v6 { none; };
    recursion no;
    dnssec-validation no;
    notify no;
};
controls { };
{{- with .Key}}
key "{{.Name}}" { algorithm {{$.Algorithm}}; secret "{{.Secret}}"; };
{{- end}}
{{- define "peer"}}{{with .Key}}key "{{.Name}}"{{else}}127.0.0.0/8{{end}};{{end}}
zone "{{.Zone}}" {
    file "{{.Dir}}/zone.db";
    {{- with .Primary}}
    type secondary;
    masterfile-format text;
    primaries { {{host .}} port {{port .}}{{with $.Key}} key "{{.Name}}"{{end}}; };
    allow-notify { {{template "peer" $}} };
    {{- else}}
    type primary;
    allow-update { {{if .Updates}}{{template "peer" $}}{{else}}none;{{end}} };
    {{- end}}
    allow-transfer { {{if .Transfers}}{{template "peer" $}}{{else}}none;{{end}} };
};
`
