package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// DNSZone is a part of the DNS that the hostnames of GlobalRoutes are in, who serves
// it, and which namespaces may have names in it. A hostname that is in no DNSZone has
// one made for it, which the hub serves and the route's namespace owns, if the hub's
// administrator has said that names like it may have one (hanse server
// --dns-zones-under).
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=dnszones,singular=dnszone
// +kubebuilder:printcolumn:name="DOMAIN",type=string,JSONPath=`.spec.domain`
// +kubebuilder:printcolumn:name="PROVIDER",type=string,JSONPath=`.status.provider`
// +kubebuilder:printcolumn:name="HOSTS",type=integer,JSONPath=`.status.hosts`
// +kubebuilder:printcolumn:name="SERIAL",type=integer,JSONPath=`.status.serial`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="NAMESERVERS",type=string,priority=1,JSONPath=`.status.nameServers`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type DNSZone struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   DNSZoneSpec   `json:"spec"`
	Status DNSZoneStatus `json:"status,omitempty"`
}

// DNSZoneSpec says which names, and who answers for them. Without route53 and
// rfc2136 the hub's own server does.
//
// +kubebuilder:validation:XValidation:rule="[has(self.embedded), has(self.route53), has(self.rfc2136)].filter(x, x).size() <= 1",message="only one of embedded, route53 and rfc2136"
// +kubebuilder:validation:XValidation:rule="!has(self.records) || size(self.records) == 0 || !(has(self.route53) || has(self.rfc2136))",message="records are for zones that the hub serves"
// +kubebuilder:validation:XValidation:rule="self.domain == oldSelf.domain",message="domain cannot be changed: create another DNSZone"
// +kubebuilder:validation:XValidation:rule="!has(self.allowedRoutes) || !has(self.allowedRoutes.hosts) || self.allowedRoutes.hosts.all(h, h.lowerAscii() == self.domain.lowerAscii() || h.lowerAscii().endsWith('.' + self.domain.lowerAscii()))",message="allowedRoutes.hosts must be the domain or names below it"
type DNSZoneSpec struct {
	// Domain is the zone's name without a final dot.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?$`
	Domain string `json:"domain"`
	// Namespace is the one that the zone belongs to: unless allowedRoutes says something
	// else, its GlobalRoutes, and no others, may have names in the zone. Empty: nobody's
	// may.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`
	// AllowedRoutes says which GlobalRoutes may have which names in the zone. What is
	// the zone's own is never a route's: its name servers' names, the names of records
	// with addresses, what is delegated, Federation v1's names.
	AllowedRoutes *AllowedRoutes `json:"allowedRoutes,omitempty"`
	// ProbeNetworks are private networks, as 10.20.0.0/16, whose addresses the hub may probe
	// for GlobalRoutes with names in the zone. It probes public addresses anyway, and its
	// own, loopback and link-local ones not even so.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network, as 10.20.0.0/16"
	ProbeNetworks []string `json:"probeNetworks,omitempty"`
	// Embedded: served by the hub.
	Embedded *EmbeddedZone `json:"embedded,omitempty"`
	// Route53: kept in Amazon Route 53.
	Route53 *Route53Zone `json:"route53,omitempty"`
	// RFC2136: kept in a name server that takes dynamic updates.
	RFC2136 *RFC2136Zone `json:"rfc2136,omitempty"`
	// Records are further records of the zone, that no route makes. In
	// external zones they are managed there, and must be empty here.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	Records []ZoneRecord `json:"records,omitempty"`
	// Federation serves the names of Federation v1 in this zone, for Services of
	// type LoadBalancer: SERVICE.NAMESPACE.FEDERATION.svc[.ZONE].REGION.DOMAIN,
	// with this as FEDERATION; empty: none.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Federation string `json:"federation,omitempty"`
	// Owner is who owns Hanse's records in an external zone, as the TXT
	// records beside them say; empty: the hub's UID. Two hubs with different
	// owners leave each other's records alone.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._-]+$`
	Owner string `json:"owner,omitempty"`
	// DryRun shows in status.pending what would be changed at the provider, and changes
	// nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// AllowDeletion lets the next pass delete as many records as it says, even if
	// that is more than a tenth of the zone's. Set it to the number that the
	// condition DeletionsHeld names.
	// +kubebuilder:validation:Minimum=0
	AllowDeletion int32 `json:"allowDeletion,omitempty"`
}

// AllowedRoutes says whose GlobalRoutes may have names in a zone, and which.
type AllowedRoutes struct {
	// Namespaces are those that GlobalRoutes may be in; empty: the zone's own.
	Namespaces RouteNamespaces `json:"namespaces,omitempty"`
	// Hosts are the names that GlobalRoutes may have, as www.DOMAIN, or *.pay.DOMAIN for
	// all names below pay.DOMAIN, or DOMAIN for the zone's own name. Empty: all names
	// below the domain; where other namespaces than the zone's own may have some, neither
	// wildcards nor names with a label that begins with _.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^(\*\.)?([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?$`
	Hosts []string `json:"hosts,omitempty"`
}

// RouteNamespaces selects namespaces, as the Gateway API does.
//
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'Selector') == has(self.selector)",message="selector goes with from: Selector, and only with that"
type RouteNamespaces struct {
	// From is Same, the zone's own namespace; All, every namespace; or Selector, those
	// that selector selects by their labels at the hub. Empty: Same.
	// +kubebuilder:validation:Enum=Same;All;Selector
	From string `json:"from,omitempty"`
	// Selector selects Namespaces of the hub by their labels.
	Selector *Selector `json:"selector,omitempty"`
}

// Values of RouteNamespaces.from.
const (
	FromSame     = "Same"
	FromAll      = "All"
	FromSelector = "Selector"
)

// EmbeddedZone is how the hub serves a zone.
type EmbeddedZone struct {
	// NameServers are the names in the NS records; empty: ns1.DOMAIN, with the
	// addresses that the server listens on.
	// +listType=set
	// +kubebuilder:validation:MaxItems=13
	// +kubebuilder:validation:items:MaxLength=253
	NameServers []string `json:"nameServers,omitempty"`
	// Contact is a mail address for the SOA record; empty: hostmaster@DOMAIN.
	// +kubebuilder:validation:MaxLength=253
	Contact string `json:"contact,omitempty"`
	// NegativeTTL is how many seconds resolvers remember that a name does not
	// exist; 0: 60.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	NegativeTTL int32 `json:"negativeTTL,omitempty"`
	// Secondaries are told of changes (NOTIFY) and may transfer the zone, as
	// HOST:PORT or HOST; HOST is an IP address.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	Secondaries []string `json:"secondaries,omitempty"`
	// TransferKey is the TSIG key that transfers have to be signed with. Without
	// it, secondaries are known by their addresses.
	TransferKey *TSIGKey `json:"transferKey,omitempty"`
}

// TSIGKey refers to a shared secret of two name servers (RFC 8945).
type TSIGKey struct {
	// Name of the key, as both sides call it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Algorithm is hmac-sha256 (the default), hmac-sha384, hmac-sha512, hmac-sha224 or hmac-sha1.
	// +kubebuilder:validation:Enum=hmac-sha1;hmac-sha224;hmac-sha256;hmac-sha384;hmac-sha512
	Algorithm string `json:"algorithm,omitempty"`
	// Secret names a Secret in hanse-system whose key "secret" is the key in
	// base64, as BIND and Knot write it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret"`
}

// Route53Zone is a hosted zone of Amazon Route 53.
type Route53Zone struct {
	// HostedZoneID; empty: the one public zone of this name, which is created if
	// there is none.
	// +kubebuilder:validation:MaxLength=64
	HostedZoneID string `json:"hostedZoneID,omitempty"`
	// CredentialsSecret names a Secret in hanse-system with the keys
	// aws_access_key_id, aws_secret_access_key and perhaps aws_session_token;
	// empty: those of the hub's environment.
	// +kubebuilder:validation:MaxLength=253
	CredentialsSecret string `json:"credentialsSecret,omitempty"`
	// Endpoint is the URL of the API; empty: Amazon's.
	// +kubebuilder:validation:MaxLength=1024
	Endpoint string `json:"endpoint,omitempty"`
	// HealthChecks lets Route 53 probe the addresses too, so that it changes its
	// answers while the hub is away. Addresses that are not public have none.
	// Default true.
	HealthChecks *bool `json:"healthChecks,omitempty"`
}

// RFC2136Zone is a zone on a name server that takes dynamic updates.
type RFC2136Zone struct {
	// Server is the primary as HOST:PORT or HOST.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=260
	Server string `json:"server"`
	// Key signs updates and transfers.
	Key *TSIGKey `json:"key,omitempty"`
}

// ZoneRecord is a record set of a zone.
type ZoneRecord struct {
	// Name relative to the domain; @ is the domain itself.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Type as A, AAAA, CAA, CNAME, MX, NS, PTR, SRV, SSHFP, TLSA or TXT.
	// +kubebuilder:validation:Enum=A;AAAA;CAA;CNAME;DS;HTTPS;MX;NAPTR;NS;PTR;SRV;SSHFP;SVCB;TLSA;TXT
	Type string `json:"type"`
	// TTL in seconds; 0: 300.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	TTL int32 `json:"ttl,omitempty"`
	// Values as in a master file (RFC 1035, section 5).
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=4096
	Values []string `json:"values"`
}

// DNSZoneStatus is how a zone is doing.
type DNSZoneStatus struct {
	// ObservedGeneration is the generation of the spec that this is about.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Provider is Embedded, Route53 or RFC2136.
	Provider string `json:"provider,omitempty"`
	// NameServers are the names to delegate the domain to.
	// +listType=atomic
	NameServers []string `json:"nameServers,omitempty"`
	// Listeners are where the hub's own server answers, as HOST:PORT.
	// +listType=atomic
	Listeners []string `json:"listeners,omitempty"`
	// Serial of the SOA record; it never falls.
	Serial int64 `json:"serial,omitempty"`
	// Hosts is how many hostnames of routes are in the zone.
	Hosts int32 `json:"hosts,omitempty"`
	// HostedZoneID in Route 53.
	HostedZoneID string `json:"hostedZoneID,omitempty"`
	// Pending is the changes that are held back or shown only, at most 50, a line
	// each.
	// +listType=atomic
	Pending []string `json:"pending,omitempty"`
	// Conditions: Ready (served, or kept), Delegated (the parent zone leads here),
	// DeletionsHeld (too many records would vanish).
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// LastValid is the spec that is in effect: the last that could be understood, unless it
	// is very large. The hub goes by it when it finds one that it cannot understand.
	// +kubebuilder:pruning:PreserveUnknownFields
	LastValid *runtime.RawExtension `json:"lastValid,omitempty"`
}

// ConditionDelegated is True when the DNS leads to the zone's name servers.
const ConditionDelegated = "Delegated"

// DNSZoneList is a list of DNSZones.
//
// +kubebuilder:object:root=true
type DNSZoneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DNSZone `json:"items"`
}
