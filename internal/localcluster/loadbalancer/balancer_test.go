package loadbalancer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/hanse-dev/hanse/internal/pki"
)

const deadline = 10 * time.Second

func service(name string, ports ...int32) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", p), Port: p, Protocol: corev1.ProtocolTCP})
	}
	return s
}

func endpoints(service string, ready map[string]bool) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: service + "-x", Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
	for pod, isReady := range ready {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{"10.1.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &isReady},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod},
		})
	}
	return s
}

// balance runs a balancer over the fake cluster until the test ends, or stop is called.
func balance(t *testing.T, client kubernetes.Interface, remembered string) (n *Network, ca *pki.Authority, stop func()) {
	t.Helper()
	n, err := Claim(remembered, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca, err = pki.EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "test", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop = func() {
		cancel()
		n.Close()
	}
	t.Cleanup(stop)
	if err := Run(ctx, Config{Client: client, Cluster: "aws", Network: n, Issuer: ca}); err != nil {
		t.Fatal(err)
	}
	return n, ca, stop
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func addressOf(t *testing.T, client kubernetes.Interface, name string) string {
	t.Helper()
	address := ""
	eventually(t, "address of "+name, func() error {
		s, err := client.CoreV1().Services("default").Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(s.Status.LoadBalancer.Ingress) == 0 {
			return errors.New("none")
		}
		address = s.Status.LoadBalancer.Ingress[0].IP
		return nil
	})
	return address
}

type answer struct {
	status int
	body   string
}

func get(client *http.Client, url, host string) (answer, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body)}, err
}

func wantAnswer(t *testing.T, url, host string, status int, body string) {
	t.Helper()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(t, url, func() error {
		got, err := get(fresh, url, host)
		if err != nil {
			return err
		}
		if got.status != status || !strings.Contains(got.body, body) {
			return fmt.Errorf("%d %q, want %d and %q", got.status, got.body, status, body)
		}
		return nil
	})
}

func wantRefused(t *testing.T, address string) {
	t.Helper()
	eventually(t, address, func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return errors.New("connected")
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		return nil
	})
}

func TestServiceHasAnAddressThatAnswers(t *testing.T) {
	ctx := context.Background()
	client := fake.NewClientset(service("web", 80, 8443), endpoints("web", map[string]bool{"web-1": true, "web-2": true, "web-3": false}),
		service("empty", 80), endpoints("empty", map[string]bool{"empty-1": false}))
	_, ca, stop := balance(t, client, "")
	address := addressOf(t, client, "web")

	live, err := client.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if live.Annotations[AnnotationPortOffset] != "20000" {
		t.Errorf("annotations %v do not say how ports are moved", live.Annotations)
	}
	if ports := live.Status.LoadBalancer.Ingress[0].Ports; len(ports) != 2 || ports[0].Port != 20080 || ports[1].Port != 8443 {
		t.Errorf("ports in the status: %v", ports)
	}

	seen := map[string]int{}
	for range 10 {
		got, err := get(http.DefaultClient, "http://"+address+":20080/", "")
		if err != nil || got.status != http.StatusOK {
			t.Fatalf("%+v, %v", got, err)
		}
		seen[got.body]++
	}
	if seen["cluster: aws\nservice: default/web\npod: web-1\n"] != 5 || seen["cluster: aws\nservice: default/web\npod: web-2\n"] != 5 {
		t.Errorf("the ready pods do not take turns: %v", seen)
	}

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CertificatePEM())
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	if got, err := get(secure, "https://"+address+":8443/", ""); err != nil || got.status != http.StatusOK {
		t.Errorf("https: %+v, %v", got, err)
	}
	wantAnswer(t, "http://"+addressOf(t, client, "empty")+":20080/", "", http.StatusServiceUnavailable, "no pod is ready")
	if other := addressOf(t, client, "empty"); other == address {
		t.Errorf("two services have the address %s", other)
	}
	stop()
	wantRefused(t, address+":20080")
}

func TestServiceThatChanges(t *testing.T) {
	ctx := context.Background()
	client := fake.NewClientset(service("web", 80), endpoints("web", map[string]bool{"web-1": true}))
	balance(t, client, "")
	address := addressOf(t, client, "web")
	wantAnswer(t, "http://"+address+":20080/", "", http.StatusOK, "web-1")

	live, err := client.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	delete(live.Annotations, AnnotationPortOffset)
	if _, err := client.CoreV1().Services("default").Update(ctx, live, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "annotation comes back", func() error {
		if live, err = client.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{}); err == nil && live.Annotations[AnnotationPortOffset] == "" {
			err = errors.New("gone")
		}
		return err
	})
	live.Spec.Ports[0].Port = 8080
	if live, err = client.CoreV1().Services("default").Update(ctx, live, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, "http://"+address+":8080/", "", http.StatusOK, "web-1")
	wantRefused(t, address+":20080")
	eventually(t, "annotation goes", func() error {
		if live, err = client.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{}); err == nil && live.Annotations[AnnotationPortOffset] != "" {
			err = fmt.Errorf("annotations %v", live.Annotations)
		}
		return err
	})
	live.Spec.Type = corev1.ServiceTypeClusterIP
	if _, err := client.CoreV1().Services("default").Update(ctx, live, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, address+":8080")
}

func TestAddressesStayAfterARestart(t *testing.T) {
	n := claimed(t, "", t.TempDir())
	one, two := service("one", 80), service("two", 80)
	for i, s := range []*corev1.Service{one, two} {
		s.Annotations = map[string]string{AnnotationPortOffset: "20000"}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: n.address(9 - i).String(), Ports: servicePorts(s)}}
	}
	client := fake.NewClientset(one, two, endpoints("one", map[string]bool{"one-1": true}), endpoints("two", map[string]bool{"two-1": true}))
	n.Close()
	balance(t, client, n.String())
	wantAnswer(t, "http://"+n.address(9).String()+":20080/", "", http.StatusOK, "one-1")
	wantAnswer(t, "http://"+n.address(8).String()+":20080/", "", http.StatusOK, "two-1")
	for _, action := range client.Actions() {
		if action.GetVerb() == "patch" {
			t.Errorf("a restart rewrites: %v", action)
		}
	}
}

func TestIngressAnswersByHostAndPath(t *testing.T) {
	ctx := context.Background()
	web := service("web", 80)
	web.Spec.Type = corev1.ServiceTypeClusterIP
	one := ingress("shop", time.Hour, rule("shop.example.com ~ /", "web"), rule("shop.example.com ~ /missing", "missing"), rule("shop.example.com ~ /port", "web"))
	one.Spec.Rules[2].HTTP.Paths[0].Backend.Service.Port.Number = 81
	client := fake.NewClientset(web, endpoints("web", map[string]bool{"web-1": true}), one)
	n, _, _ := balance(t, client, "")
	url := "http://" + n.ingress().String() + ":20080"

	wantAnswer(t, url+"/", "shop.example.com", http.StatusOK, "cluster: aws\ningress: default/shop\nservice: default/web\npod: web-1\n")
	wantAnswer(t, url+"/", "other.example.com", http.StatusNotFound, `no Ingress matches host "other.example.com" and path "/"`)
	wantAnswer(t, url+"/missing/x", "shop.example.com", http.StatusServiceUnavailable, "there is no service default/missing")
	wantAnswer(t, url+"/port", "shop.example.com", http.StatusServiceUnavailable, "service default/web has no such port")
	eventually(t, "status", func() error {
		live, err := client.NetworkingV1().Ingresses("default").Get(ctx, "shop", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if live.Annotations[AnnotationPortOffset] != "20000" || len(live.Status.LoadBalancer.Ingress) != 1 || live.Status.LoadBalancer.Ingress[0].IP != n.ingress().String() {
			return fmt.Errorf("%v %v", live.Annotations, live.Status)
		}
		return nil
	})
	if err := client.NetworkingV1().Ingresses("default").Delete(ctx, "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, n.ingress().String()+":20080")
}

func TestPortThatIsTakenIsReported(t *testing.T) {
	ctx := context.Background()
	n := claimed(t, "", t.TempDir())
	blocked, err := net.Listen("tcp4", n.address(2).String()+":20080")
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	client := fake.NewClientset(service("web", 80), endpoints("web", map[string]bool{"web-1": true}))
	balance(t, client, n.String())
	eventually(t, "event", func() error {
		events, err := client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
		if err == nil && (len(events.Items) == 0 || events.Items[0].Reason != "SyncLoadBalancerFailed") {
			err = errors.New("none")
		}
		return err
	})
	blocked.Close()
	wantAnswer(t, "http://"+n.address(2).String()+":20080/", "", http.StatusOK, "web-1")
}

func TestSilentAndStrangeConnectionsHurtNobody(t *testing.T) {
	client := fake.NewClientset(service("web", 80), endpoints("web", map[string]bool{"web-1": true}))
	balance(t, client, "")
	address := addressOf(t, client, "web") + ":20080"
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, first := range []string{"\x16", "\x00\xff\n", "NONSENSE\r\n\r\n"} {
		strange, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer strange.Close()
		if _, err := strange.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
	}
	// Long before the silent one is given up.
	impatient := &http.Client{Timeout: firstByteTimeout / 2}
	if got, err := get(impatient, "http://"+address+"/", ""); err != nil || got.status != http.StatusOK {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadyPods(t *testing.T) {
	yes, no := true, false
	got := readyPods([]*discoveryv1.EndpointSlice{
		{Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}, TargetRef: &corev1.ObjectReference{Name: "b"}},
			{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}, TargetRef: &corev1.ObjectReference{Name: "c"}},
			{Addresses: []string{"192.0.2.7"}},
		}},
		{Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"fd00::1"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}, TargetRef: &corev1.ObjectReference{Name: "b"}},
			{Addresses: []string{"10.0.0.3"}, TargetRef: &corev1.ObjectReference{Name: "a"}},
		}},
	})
	if fmt.Sprint(got) != "[192.0.2.7 a b]" {
		t.Errorf("ready pods are %v", got)
	}
}

func TestCertificatesAreBounded(t *testing.T) {
	dir := t.TempDir()
	ca, err := pki.EnsureAuthority(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), "test", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := certificates{issuer: ca, made: map[string]*tls.Certificate{}}
	for i := range maxCertificates + 10 {
		if _, err := c.get(&tls.ClientHelloInfo{ServerName: fmt.Sprintf("host%d.example.com", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.made) != 10 {
		t.Errorf("%d certificates are kept", len(c.made))
	}
	long, err := c.get(&tls.ClientHelloInfo{ServerName: strings.Repeat("a", 63) + ".example.com"})
	if err != nil || long.Leaf.VerifyHostname(strings.Repeat("a", 63)+".example.com") != nil {
		t.Errorf("a long name: %v", err)
	}
}
