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
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec DNSZoneSpec `json:"spec"`
	// status is what the hub has found, and done.
	// +optional
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
	// domain is the zone's name without a final dot.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?$`
	// +required
	Domain string `json:"domain"`
	// namespace is the one that the zone belongs to: unless allowedRoutes says something
	// else, its GlobalRoutes, and no others, may have names in the zone. Empty: nobody's
	// may.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// allowedRoutes says which GlobalRoutes may have which names in the zone. What is
	// the zone's own is never a route's: its name servers' names, the names of records
	// with addresses, what is delegated, Federation v1's names.
	// +optional
	AllowedRoutes *AllowedRoutes `json:"allowedRoutes,omitempty"`
	// probeNetworks are private networks, as 10.20.0.0/16, whose addresses the hub may probe
	// for GlobalRoutes with names in the zone. It probes public addresses anyway, and its
	// own, loopback and link-local ones not even so.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network, as 10.20.0.0/16"
	// +optional
	ProbeNetworks []string `json:"probeNetworks,omitempty"`
	// embedded zones are served by the hub.
	// +optional
	Embedded *EmbeddedZone `json:"embedded,omitempty"`
	// route53 zones are kept in Amazon Route 53.
	// +optional
	Route53 *Route53Zone `json:"route53,omitempty"`
	// rfc2136 zones are kept in a name server that takes dynamic updates.
	// +optional
	RFC2136 *RFC2136Zone `json:"rfc2136,omitempty"`
	// records are further records of the zone, that no route makes. In
	// external zones they are managed there, and must be empty here.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	// +optional
	Records []ZoneRecord `json:"records,omitempty"`
	// federation serves the names of Federation v1 in this zone, for Services of
	// type LoadBalancer: SERVICE.NAMESPACE.FEDERATION.svc[.ZONE].REGION.DOMAIN,
	// with this as FEDERATION; empty: none.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +optional
	Federation string `json:"federation,omitempty"`
	// owner is who owns Hanse's records in an external zone, as the TXT
	// records beside them say; empty: the hub's UID. Two hubs with different
	// owners leave each other's records alone.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._-]+$`
	// +optional
	Owner string `json:"owner,omitempty"`
	// dryRun shows in status.pending what would be changed at the provider, and changes
	// nothing.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`
	// allowDeletion lets the next pass delete as many records as it says, even if
	// that is more than a tenth of the zone's. Set it to the number that the
	// condition DeletionsHeld names.
	// +kubebuilder:validation:Minimum=0
	// +optional
	AllowDeletion int32 `json:"allowDeletion,omitempty"`
}

// AllowedRoutes says whose GlobalRoutes may have names in a zone, and which.
type AllowedRoutes struct {
	// namespaces are those that GlobalRoutes may be in; empty: the zone's own.
	// +optional
	Namespaces RouteNamespaces `json:"namespaces,omitempty"`
	// hosts are the names that GlobalRoutes may have, as www.DOMAIN, or *.pay.DOMAIN for
	// all names below pay.DOMAIN, or DOMAIN for the zone's own name. Empty: all names
	// below the domain; where other namespaces than the zone's own may have some, neither
	// wildcards nor names with a label that begins with _.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^(\*\.)?([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?$`
	// +optional
	Hosts []string `json:"hosts,omitempty"`
}

// RouteNamespaces selects namespaces, as the Gateway API does.
//
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'Selector') == has(self.selector)",message="selector goes with from: Selector, and only with that"
type RouteNamespaces struct {
	// from is Same, the zone's own namespace; All, every namespace; or Selector, those
	// that selector selects by their labels at the hub. Empty: Same.
	// +kubebuilder:validation:Enum=Same;All;Selector
	// +optional
	From string `json:"from,omitempty"`
	// selector selects Namespaces of the hub by their labels.
	// +optional
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
	// nameServers are the names in the NS records; empty: ns1.DOMAIN, with the
	// addresses that the server listens on.
	// +listType=set
	// +kubebuilder:validation:MaxItems=13
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	NameServers []string `json:"nameServers,omitempty"`
	// contact is a mail address for the SOA record; empty: hostmaster@DOMAIN.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Contact string `json:"contact,omitempty"`
	// negativeTTL is how many seconds resolvers remember that a name does not
	// exist; 0: 60.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	// +optional
	NegativeTTL int32 `json:"negativeTTL,omitempty"`
	// secondaries are told of changes (NOTIFY) and may transfer the zone, as
	// HOST:PORT or HOST; HOST is an IP address.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +optional
	Secondaries []string `json:"secondaries,omitempty"`
	// transferKey is the TSIG key that transfers have to be signed with. Without
	// it, secondaries are known by their addresses.
	// +optional
	TransferKey *TSIGKey `json:"transferKey,omitempty"`
}

// TSIGKey refers to a shared secret of two name servers (RFC 8945).
type TSIGKey struct {
	// name of the key, as both sides call it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
	// algorithm is hmac-sha256 (the default), hmac-sha384, hmac-sha512, hmac-sha224 or hmac-sha1.
	// +kubebuilder:validation:Enum=hmac-sha1;hmac-sha224;hmac-sha256;hmac-sha384;hmac-sha512
	// +optional
	Algorithm string `json:"algorithm,omitempty"`
	// secret names a Secret in hanse-system whose key "secret" is the key in
	// base64, as BIND and Knot write it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Secret string `json:"secret"`
}

// Route53Zone is a hosted zone of Amazon Route 53.
type Route53Zone struct {
	// hostedZoneID is the zone's at Amazon; empty: the one public zone of this name, which is created if
	// there is none.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	HostedZoneID string `json:"hostedZoneID,omitempty"`
	// credentialsSecret names a Secret in hanse-system with the keys
	// aws_access_key_id, aws_secret_access_key and perhaps aws_session_token;
	// empty: those of the hub's environment.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	CredentialsSecret string `json:"credentialsSecret,omitempty"`
	// endpoint is the URL of the API; empty: Amazon's.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// healthChecks lets Route 53 probe the addresses too, so that it changes its
	// answers while the hub is away. Addresses that are not public have none.
	// Default true.
	// +optional
	HealthChecks *bool `json:"healthChecks,omitempty"`
}

// RFC2136Zone is a zone on a name server that takes dynamic updates.
type RFC2136Zone struct {
	// server is the primary as HOST:PORT or HOST.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=260
	// +required
	Server string `json:"server"`
	// key signs updates and transfers.
	// +optional
	Key *TSIGKey `json:"key,omitempty"`
}

// ZoneRecord is a record set of a zone.
type ZoneRecord struct {
	// name relative to the domain; @ is the domain itself.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
	// type as A, AAAA, CAA, CNAME, MX, NS, PTR, SRV, SSHFP, TLSA or TXT.
	// +kubebuilder:validation:Enum=A;AAAA;CAA;CNAME;DS;HTTPS;MX;NAPTR;NS;PTR;SRV;SSHFP;SVCB;TLSA;TXT
	// +required
	Type string `json:"type"`
	// ttl in seconds; 0: 300.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	// +optional
	TTL int32 `json:"ttl,omitempty"`
	// values as in a master file (RFC 1035, section 5).
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=4096
	// +required
	Values []string `json:"values"`
}

// DNSZoneStatus is how a zone is doing.
type DNSZoneStatus struct {
	// observedGeneration is the generation of the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// provider is Embedded, Route53 or RFC2136.
	// +optional
	Provider string `json:"provider,omitempty"`
	// nameServers are the names to delegate the domain to.
	// +listType=atomic
	// +optional
	NameServers []string `json:"nameServers,omitempty"`
	// listeners are where the hub's own server answers, as HOST:PORT.
	// +listType=atomic
	// +optional
	Listeners []string `json:"listeners,omitempty"`
	// serial of the SOA record; it never falls.
	// +optional
	Serial int64 `json:"serial,omitempty"`
	// hosts is how many hostnames of routes are in the zone.
	// +optional
	Hosts int32 `json:"hosts,omitempty"`
	// hostedZoneID in Route 53.
	// +optional
	HostedZoneID string `json:"hostedZoneID,omitempty"`
	// pending is the changes that are held back or shown only, at most 50, a line
	// each.
	// +listType=atomic
	// +optional
	Pending []string `json:"pending,omitempty"`
	// conditions are Ready (served, or kept), Delegated (the parent zone leads here),
	// DeletionsHeld (too many records would vanish).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// lastValid is the spec that is in effect: the last that could be understood, unless it
	// is very large. The hub goes by it when it finds one that it cannot understand.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
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
