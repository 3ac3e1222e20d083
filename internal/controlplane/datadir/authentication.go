package datadir

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"sigs.k8s.io/yaml"
)

// publicPaths are answered to whoever asks: what a load balancer wants to know, how to log in, and
// what another hub asks that has no key yet.
func publicPaths() []string { return []string{"/livez", "/readyz", "/healthz", PathLogin, PathKeys} }

// PathLogin is where a hub says how people log in. What is there is public.
const PathLogin = "/hanse/login"

// OIDC says which identity provider's users a hub knows. It is the common case of an AuthenticationConfiguration, with the
// names of kube-apiserver's flags.
type OIDC struct {
	IssuerURL, ClientID           string
	UsernameClaim, UsernamePrefix string
	GroupsClaim, GroupsPrefix     string
	RequiredClaims                map[string]string
	CAFile                        string
	// Scopes are what hanse login asks the provider for.
	Scopes []string
}

// noPrefix is what stands for no prefix in kube-apiserver's flags, where the empty string is the default.
const noPrefix = "-"

// reserved are the beginnings of names that a provider cannot give: they belong to Kubernetes and to the hub.
func reserved() []string { return []string{"system:", "hanse:"} }

// Validate says what is missing or cannot be.
func (o OIDC) Validate() error {
	switch u, err := url.Parse(o.IssuerURL); {
	case o.IssuerURL == "":
		return errors.New("--oidc-client-id and the other --oidc flags need the provider. Try: --oidc-issuer-url https://…")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("--oidc-issuer-url=%s is not the URL of a provider. Try: https://…, as its discovery document has it", o.IssuerURL)
	case o.ClientID == "":
		return errors.New("--oidc-issuer-url needs the client that tokens are for. Try: --oidc-client-id ID, as the provider calls it")
	case o.UsernameClaim == "":
		return errors.New("--oidc-username-claim is empty. Try: sub or email")
	case o.GroupsPrefix != "" && o.GroupsClaim == "":
		return errors.New("--oidc-groups-prefix needs the claim that has the groups. Try: --oidc-groups-claim groups")
	}
	return nil
}

// WriteAuthentication writes an AuthenticationConfiguration and returns its path. With a provider it lets that one's users in,
// and otherwise nobody without a credential, except to what is public.
func (d *Dir) WriteAuthentication(o *OIDC) (string, error) {
	config := apiserverv1.AuthenticationConfiguration{
		TypeMeta:  metav1.TypeMeta{APIVersion: apiserverv1.SchemeGroupVersion.String(), Kind: "AuthenticationConfiguration"},
		Anonymous: &apiserverv1.AnonymousAuthConfig{Enabled: true},
	}
	for _, path := range publicPaths() {
		config.Anonymous.Conditions = append(config.Anonymous.Conditions, apiserverv1.AnonymousAuthCondition{Path: path})
	}
	if o != nil {
		jwt, err := o.authenticator()
		if err != nil {
			return "", err
		}
		config.JWT = append(config.JWT, jwt)
	}
	data, err := yaml.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("encoding the authentication configuration: %w", err)
	}
	return d.Path(authenticationFile), d.write(authenticationFile, data)
}

// authenticator is o as structured authentication has it, with kube-apiserver's rules for prefixes.
func (o OIDC) authenticator() (apiserverv1.JWTAuthenticator, error) {
	if err := o.Validate(); err != nil {
		return apiserverv1.JWTAuthenticator{}, err
	}
	user := o.UsernamePrefix
	switch {
	case user == noPrefix:
		user = ""
	case user == "" && o.UsernameClaim != "email":
		user = o.IssuerURL + "#"
	}
	jwt := apiserverv1.JWTAuthenticator{
		Issuer:        apiserverv1.Issuer{URL: o.IssuerURL, Audiences: []string{o.ClientID}},
		ClaimMappings: apiserverv1.ClaimMappings{Username: apiserverv1.PrefixedClaimOrExpression{Claim: o.UsernameClaim, Prefix: &user}},
	}
	if o.GroupsClaim != "" {
		groups := o.GroupsPrefix
		if groups == noPrefix {
			groups = ""
		}
		jwt.ClaimMappings.Groups = apiserverv1.PrefixedClaimOrExpression{Claim: o.GroupsClaim, Prefix: &groups}
	}
	if o.CAFile != "" {
		ca, err := os.ReadFile(o.CAFile)
		if err != nil {
			return jwt, fmt.Errorf("--oidc-ca-file: %w. Try: a file with the provider's CA in PEM", err)
		}
		jwt.Issuer.CertificateAuthority = string(ca)
	}
	for _, claim := range slices.Sorted(maps.Keys(o.RequiredClaims)) {
		jwt.ClaimValidationRules = append(jwt.ClaimValidationRules, apiserverv1.ClaimValidationRule{Claim: claim, RequiredValue: o.RequiredClaims[claim]})
	}
	for _, prefix := range reserved() {
		jwt.UserValidationRules = append(jwt.UserValidationRules,
			apiserverv1.UserValidationRule{Expression: fmt.Sprintf("!user.username.startsWith(%q)", prefix), Message: "user names that begin with " + prefix + " are not the provider's to give"},
			apiserverv1.UserValidationRule{Expression: fmt.Sprintf("user.groups.all(group, !group.startsWith(%q))", prefix), Message: "groups that begin with " + prefix + " are not the provider's to give"})
	}
	return jwt, nil
}

// SaysAnonymous says whether an AuthenticationConfiguration of somebody else's rules on anonymous requests.
func SaysAnonymous(file string) (bool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return false, fmt.Errorf("--authentication-config: %w. Try: a file with an AuthenticationConfiguration", err)
	}
	var config apiserverv1.AuthenticationConfiguration
	if err := yaml.Unmarshal(data, &config); err != nil {
		return false, fmt.Errorf("--authentication-config: %s is not an AuthenticationConfiguration: %w", file, err)
	}
	return config.Anonymous != nil, nil
}
