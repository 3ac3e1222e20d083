package hubs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
)

// longestAsk bounds a request.
const longestAsk = 4 << 10

// Serve answers datadir.PathKeys: a GET with what everybody may know, a POST with the keys. Whoever has these is every user of
// the hub for as long as the authority lives, so that no right that can be granted or taken away gives them, impersonation
// included: the request has a token that was made in the data directory, or a client certificate of system:masters.
func Serve(dir *datadir.Dir, now time.Time, w http.ResponseWriter, r *http.Request) {
	status, body, err := answer(dir, now, r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body) // whoever asked may be gone
}

func answer(dir *datadir.Dir, now time.Time, r *http.Request) (status int, body any, err error) {
	switch r.Method {
	case http.MethodGet:
		ca, err := dir.AuthorityPEM()
		return http.StatusInternalServerError, Public{Authority: ca}, err
	case http.MethodPost:
	default:
		return http.StatusMethodNotAllowed, nil, errors.New("this takes a GET or a POST")
	}
	var ask Ask
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, longestAsk)).Decode(&ask); err != nil {
		return http.StatusBadRequest, nil, errors.New("the request is not understood")
	}
	by := "a token"
	switch {
	case ask.Token != "":
		good, err := dir.Redeem(ask.Token, now)
		if err != nil {
			return http.StatusInternalServerError, nil, errors.New("tokens cannot be read at this hub")
		}
		if !good {
			klog.FromContext(r.Context()).Info("Keys were asked for with a token that is not good", "from", r.RemoteAddr)
			return http.StatusForbidden, nil, errors.New("the token is not known at this hub, was used, or has expired")
		}
	case ofMasters(dir, now, r.TLS):
		by = r.TLS.PeerCertificates[0].Subject.CommonName
	default:
		return http.StatusForbidden, nil, errors.New("the hub's keys are for client certificates of system:masters, and for whoever has a token of hanse admin join-token")
	}
	keys, err := dir.Keys()
	if err != nil {
		return http.StatusInternalServerError, nil, errors.New("the keys cannot be read at this hub")
	}
	klog.FromContext(r.Context()).Info("Keys were given to another hub", "from", r.RemoteAddr, "by", by)
	return http.StatusOK, keys, nil
}

// ofMasters says whether the client has shown a certificate of system:masters that the hub's authority signed. The user of the
// request would not do: administrators impersonate whom they like.
func ofMasters(dir *datadir.Dir, now time.Time, connection *tls.ConnectionState) bool {
	if connection == nil || len(connection.PeerCertificates) == 0 {
		return false
	}
	ca, err := dir.AuthorityPEM()
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	cert := connection.PeerCertificates[0]
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil && slices.Contains(cert.Subject.Organization, user.SystemPrivilegedGroup)
}
