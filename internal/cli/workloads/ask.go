package workloads

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/propagate"
)

// planAtHub has the hub decide about objects, with all that it knows, such as what its
// members have free. It changes nothing.
func planAtHub(ctx context.Context, at *hub.Flags, q propagate.PlanRequest) ([]propagate.Planned, error) {
	content, err := json.Marshal(struct {
		propagate.PlanRequest
		Current map[string]int32 `json:"current"` // {} is nothing anywhere, null is what the hub knows
	}{q, q.Current})
	if err != nil {
		return nil, fmt.Errorf("the manifests cannot be sent to the hub: %w", err)
	}
	body, err := at.Ask(ctx, http.MethodPost, propagate.PathPlan, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	var planned []propagate.Planned
	if err := hub.Unmarshal(body, &planned); err != nil {
		return nil, err
	}
	if len(planned) != len(q.Objects) {
		return nil, fmt.Errorf("the hub was asked about %s and answers about %d. Try: the same version of hanse for both", output.Count(len(q.Objects), "object"), len(planned))
	}
	return planned, nil
}
