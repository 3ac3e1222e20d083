package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// Get reads a path of the hub that is no resource.
func (f *Flags) Get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return f.Ask(ctx, http.MethodGet, path, nil)
}

// GetJSON reads a path of the hub that answers with JSON.
func (f *Flags) GetJSON(ctx context.Context, path string, query url.Values, into any) error {
	body, err := f.Get(ctx, path, query)
	if err != nil {
		return err
	}
	return Unmarshal(body, into)
}

// Unmarshal reads the hub's answer.
func Unmarshal(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the hub's answer cannot be read: %w. Try: the same version of hanse for both", err)
	}
	return nil
}

// Ask sends a request to a path of the hub that is no resource, and returns the
// body of the answer.
func (f *Flags) Ask(ctx context.Context, method, path string, content io.Reader) ([]byte, error) {
	cfg, err := f.RestConfig()
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, access.HubError(cfg.Host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(cfg.Host, "/")+path, content)
	if err != nil {
		return nil, fmt.Errorf("the hub's address %s cannot be used: %w", cfg.Host, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, access.HubError(cfg.Host, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, access.HubError(cfg.Host, err)
	}
	if err := refusal(cfg.Host, path, response, body); err != nil {
		return nil, err
	}
	return body, nil
}

// refusal is the error of an answer that is not OK. What the hub says in plain
// text is for the user as it is.
func refusal(at, path string, response *http.Response, body []byte) error {
	plain := strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain")
	switch {
	case response.StatusCode == http.StatusOK:
		return nil
	case response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("the hub at %s refuses the credential in its kubeconfig (401). Try: hanse login, or the admin.kubeconfig in the hub's data directory", at)
	case plain:
		return errors.New(strings.TrimSpace(string(body)))
	case response.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the hub at %s does not let you read %s. Try: as an administrator of the hub, or with a binding to the role view", at, path)
	}
	return fmt.Errorf("the hub at %s answers %s to %s. Try: the same version of hanse for both", at, response.Status, path)
}
