package datadir

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/internal/pki"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/tools/clientcmd"
	clocktesting "k8s.io/utils/clock/testing"
)

// year is a hub in virtual time: upstream's reloading of certificates and CAs, on files that Credentials keeps, and a clock that
// the test sets. TLS on both sides goes by that clock.
type year struct {
	*testing.T
	dir     *Dir
	clock   *clocktesting.FakePassiveClock
	url     string
	reload  func() error
	asked   atomic.Int64
	mu      sync.Mutex
	renewed map[string]int
}

func newYear(t *testing.T) *year {
	y := &year{T: t, dir: open(t, t.TempDir()), clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), renewed: map[string]int{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(y.whoami))
	y.url = "https://" + server.Listener.Addr().String()
	y.pass()
	cert, err := dynamiccertificates.NewDynamicServingContentFromFiles("serving", y.dir.Path("pki/apiserver.crt"), y.dir.Path("pki/apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", y.dir.Path("pki/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	base := &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, Time: y.clock.Now}
	dynamic := dynamiccertificates.NewDynamicServingCertificateController(base, ca, cert, nil, nil)
	y.reload = func() error {
		return errors.Join(cert.RunOnce(t.Context()), ca.RunOnce(t.Context()), dynamic.RunOnce())
	}
	y.must(y.reload())
	server.TLS = base.Clone()
	server.TLS.GetConfigForClient = dynamic.GetConfigForClient
	server.StartTLS()
	t.Cleanup(server.Close)
	return y
}

func (y *year) must(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// pass is one of those that a running hub makes every few seconds.
func (y *year) pass() {
	y.Helper()
	_, renewed, err := y.dir.Credentials(Issuance{Context: "federation", Address: y.url, Hosts: []string{"127.0.0.1"}, Now: y.clock.Now,
		AdminLife: adminLife, Revocable: true, Rotate: true})
	y.must(err)
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, name := range renewed {
		y.renewed[name]++
	}
}

func (y *year) whoami(w http.ResponseWriter, r *http.Request) {
	subject := r.TLS.PeerCertificates[0].Subject
	fmt.Fprint(w, subject.CommonName, subject.Organization)
}

// ask makes a request on a connection of its own, as a command does that reads its files first.
func (y *year) ask(crt, key, ca []byte, want string) error {
	pair, err := tls.X509KeyPair(crt, key)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, Time: y.clock.Now}}
	return y.get(&http.Client{Transport: transport}, want)
}

func (y *year) get(client *http.Client, want string) error {
	y.asked.Add(1)
	r, err := client.Get(y.url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && string(body) != want {
		err = fmt.Errorf("known as %s, want %s", body, want)
	}
	return err
}

// asAdmin asks with a kubeconfig as somebody has it.
func (y *year) asAdmin(kubeconfig []byte) error {
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return err
	}
	user := config.AuthInfos["federation-admin"]
	return y.ask(user.ClientCertificateData, user.ClientKeyData, config.Clusters["federation"].CertificateAuthorityData, "admin[hanse:admins]")
}

// asPart asks as the parts of the hub do, by files.
func (y *year) asPart(name, user string) error {
	ca := read(y.T, y.dir.Path("pki/ca.crt"))
	return y.ask(read(y.T, y.dir.Path("pki", name+".crt")), read(y.T, y.dir.Path("pki", name+".key")), ca, user+"[system:masters]")
}

// The administrator's kubeconfig lives a week, not a day, to take seven times fewer steps; each is shorter than what is left of
// its life when it is renewed.
const (
	adminLife = 7 * 24 * time.Hour
	yearStep  = 49 * time.Hour
)

// TestYear lives through fourteen months of a running hub, with a replacement of its authority from the third one on, and makes
// requests all the time. None fails, and who is connected stays so.
func TestYear(t *testing.T) {
	y := newYear(t)
	began := y.clock.Now()
	connected := y.connected()
	first := y.serial()
	kept := read(t, y.dir.Path(adminKubeconfig))
	for at := time.Duration(0); at < 14*30*24*time.Hour; at += yearStep {
		if at/yearStep == 90*24*time.Hour/yearStep {
			y.must(RequestRotation(y.dir.path, 30*24*time.Hour, y.clock.Now()))
		}
		y.clock.SetTime(began.Add(at))
		// Requests of somebody who took the kubeconfig a step ago, while files are written.
		var during sync.WaitGroup
		during.Go(func() {
			if err := y.asAdmin(kept); err != nil {
				t.Errorf("%s, meanwhile: %v", y.clock.Now(), err)
			}
		})
		y.pass()
		during.Wait()
		y.must(y.reload())
		old := kept
		kept = read(t, y.dir.Path(adminKubeconfig))
		for who, err := range map[string]error{
			"the administrator": y.asAdmin(kept), "the administrator of a step ago": y.asAdmin(old),
			"the hub": y.asPart("hanse", ServerUser), "the controllers": y.asPart("controllers", ControllersUser),
			"who is connected": y.get(connected, "admin[hanse:admins]"),
		} {
			if err != nil {
				t.Fatalf("%s, %s: %v", y.clock.Now(), who, err)
			}
		}
	}
	t.Logf("%d requests, renewed: %v", y.asked.Load(), y.renewed)
	if y.renewed["ca"] != 3 {
		t.Errorf("the replacement of the authority took %d steps", y.renewed["ca"])
	}
	// Made, at two thirds of a year, and because of the new authority.
	if n := y.renewed["apiserver"]; n != 3 {
		t.Errorf("the API server had %d certificates", n)
	}
	if n := y.renewed["admin"]; n < 60 {
		t.Errorf("the administrator had %d certificates", n)
	}
	if y.serial() == first {
		t.Error("the API server shows the certificate that it began with")
	}
}

// connected is a client with one connection for ever.
func (y *year) connected() *http.Client {
	y.Helper()
	config, err := clientcmd.Load(read(y.T, y.dir.Path(adminKubeconfig)))
	y.must(err)
	user := config.AuthInfos["federation-admin"]
	pair, err := tls.X509KeyPair(user.ClientCertificateData, user.ClientKeyData)
	y.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.Clusters["federation"].CertificateAuthorityData)
	return &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1,
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, Time: y.clock.Now}}}
}

// serial is that of the certificate which the server shows. It is not verified, since that it is shown is all that is asked.
func (y *year) serial() string {
	y.Helper()
	pair, err := tls.LoadX509KeyPair(y.dir.Path("pki/hanse.crt"), y.dir.Path("pki/hanse.key"))
	y.must(err)
	c, err := tls.Dial("tcp", y.url[len("https://"):], &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}})
	y.must(err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestCredentials(t *testing.T) {
	d := open(t, t.TempDir())
	asked := Issuance{Context: "federation", Address: "https://127.0.0.1:6443", Hosts: []string{"127.0.0.1", "localhost"}, Now: time.Now, Revocable: true, AdminLife: DefaultAdminLife}
	c, renewed, err := d.Credentials(asked)
	if err != nil || !slices.Equal(renewed, []string{"apiserver", "hanse", "controllers", "scheduler", "admin"}) {
		t.Fatal(renewed, err)
	}
	admin := read(t, c.Admin)
	config, err := clientcmd.Load(admin)
	if err != nil {
		t.Fatal(err)
	}
	if config.CurrentContext != "federation" {
		t.Errorf("current context %q", config.CurrentContext)
	}
	for _, path := range []string{c.Admin, c.Controllers, c.Scheduler} {
		client, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		// What embeds them would not see the next ones.
		if reloads := client.CertFile != "" && client.CAFile != ""; reloads != (path != c.Admin) {
			t.Errorf("%s: reloads its files: %v", path, reloads)
		}
	}
	if got := groupsOf(t, config.AuthInfos["federation-admin"].ClientCertificateData); !slices.Equal(got, []string{AdminsGroup}) {
		t.Errorf("the administrator of a hub is in %q", got)
	}
	if _, renewed, err := d.Credentials(asked); err != nil || len(renewed) > 0 {
		t.Errorf("a restart renewed %v, %v", renewed, err)
	}
	if !slices.Equal(admin, read(t, c.Admin)) {
		t.Error("a restart changed the administrator's kubeconfig")
	}
	asked.Revocable = false
	if _, renewed, err := d.Credentials(asked); err != nil || !slices.Equal(renewed, []string{"admin"}) {
		t.Errorf("other rights renewed %v, %v", renewed, err)
	}
}

func groupsOf(t *testing.T, crt []byte) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crt")
	if err := os.WriteFile(file, crt, 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := pki.ReadCertificates(file)
	if err != nil {
		t.Fatal(err)
	}
	return all[0].Subject.Organization
}

// TestCredentialsFollowTheListener gives the API server another address.
func TestCredentialsFollowTheListener(t *testing.T) {
	d := open(t, t.TempDir())
	asked := Issuance{Context: "federation", Address: "https://127.0.0.1:1", Hosts: []string{"127.0.0.1"}, Now: time.Now}
	if _, _, err := d.Credentials(asked); err != nil {
		t.Fatal(err)
	}
	asked.Hosts = append(asked.Hosts, net.IPv6loopback.String())
	if _, renewed, err := d.Credentials(asked); err != nil || !slices.Equal(renewed, []string{"apiserver"}) {
		t.Errorf("renewed %v, %v", renewed, err)
	}
}
