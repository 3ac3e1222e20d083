package policy_test

import (
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/policy"
)

func TestContinents(t *testing.T) {
	for place, want := range map[string]string{
		"aws us-east-1": "NA", "aws eu-central-1": "EU", "aws ap-southeast-1": "AS", "aws ap-southeast-2": "OC", "aws sa-east-1": "SA", "aws af-south-1": "AF",
		"azure westeurope": "EU", "azure eastus2": "NA", "azure southcentralus": "NA", "azure southeastasia": "AS", "azure brazilsouth": "SA", "azure southafricanorth": "AF",
		"azure southindia": "AS", "azure australiaeast": "OC", "azure uksouth": "EU", "azure uaenorth": "AS",
		"google asia-east1": "AS", "google us-central1": "NA", "google europe-west1": "EU", "google australia-southeast1": "OC", "google southamerica-east1": "SA",
		"kind us-east-1": "", "aws": "", "aws nowhere": "",
	} {
		provider, region, _ := strings.Cut(place, " ")
		if got := policy.ContinentOf(provider, region); got != want {
			t.Errorf("%s: %q, want %q", place, got, want)
		}
	}
}
