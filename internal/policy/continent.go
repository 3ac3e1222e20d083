package policy

import "strings"

// continents maps the beginnings of region names to continents, by provider.
// The longest prefix that fits wins.
func continents(provider string) map[string]string {
	switch provider {
	case "aws":
		return map[string]string{
			"us-": "NA", "ca-": "NA", "mx-": "NA", "sa-": "SA", "eu-": "EU", "eusc-": "EU", "af-": "AF",
			"ap-": "AS", "cn-": "AS", "me-": "AS", "il-": "AS",
			"ap-southeast-2": "OC", "ap-southeast-4": "OC", "ap-southeast-6": "OC", // Sydney, Melbourne, Auckland
		}
	case "google":
		return map[string]string{
			"us-": "NA", "northamerica-": "NA", "southamerica-": "SA", "europe-": "EU", "asia-": "AS",
			"me-": "AS", "australia-": "OC", "africa-": "AF",
		}
	case "azure":
		return map[string]string{
			"eastus": "NA", "westus": "NA", "centralus": "NA", "northcentralus": "NA", "southcentralus": "NA",
			"westcentralus": "NA", "canada": "NA", "mexico": "NA", "usgov": "NA", "usdod": "NA", "usnat": "NA", "ussec": "NA",
			"brazil": "SA", "chile": "SA",
			"northeurope": "EU", "westeurope": "EU", "france": "EU", "germany": "EU", "norway": "EU", "sweden": "EU",
			"switzerland": "EU", "uk": "EU", "poland": "EU", "italy": "EU", "spain": "EU", "austria": "EU",
			"belgium": "EU", "denmark": "EU", "finland": "EU", "greece": "EU", "portugal": "EU",
			"eastasia": "AS", "southeastasia": "AS", "japan": "AS", "korea": "AS", "centralindia": "AS",
			"southindia": "AS", "westindia": "AS", "southcentralindia": "AS", "jioindia": "AS", "uae": "AS", "qatar": "AS",
			"israel": "AS", "saudiarabia": "AS", "indonesia": "AS", "malaysia": "AS", "taiwan": "AS", "china": "AS",
			"australia": "OC", "newzealand": "OC", "southafrica": "AF",
		}
	}
	return nil
}

// ContinentOf is the continent of a provider's region as a two-letter code,
// empty if it is not known.
func ContinentOf(provider, region string) string {
	best, continent := "", ""
	for prefix, c := range continents(provider) {
		if len(prefix) > len(best) && strings.HasPrefix(region, prefix) {
			best, continent = prefix, c
		}
	}
	return continent
}

// Continents are the codes of all.
func Continents() []string { return []string{"AF", "AN", "AS", "EU", "NA", "OC", "SA"} }
