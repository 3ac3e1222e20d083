package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// GlobalRoute is one or more hostnames that are answered with the addresses of
// several clusters: to each client those of the cluster that suits it, of those
// that are healthy. An Ingress, Service or Gateway with AnnotationGlobal has one
// made for it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,path=globalroutes,singular=globalroute,shortName=gr
// +kubebuilder:printcolumn:name="HOSTS",type=string,JSONPath=`.status.summary.hosts`
// +kubebuilder:printcolumn:name="ROUTING",type=string,JSONPath=`.status.summary.routing`
// +kubebuilder:printcolumn:name="HEALTHY",type=string,JSONPath=`.status.summary.healthy`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type GlobalRoute struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec GlobalRouteSpec `json:"spec"`
	// status is what the hub has found, and done.
	// +optional
	Status GlobalRouteStatus `json:"status,omitempty"`
}

// GlobalRouteSpec says which names are answered, with whose addresses, to whom.
//
// +kubebuilder:validation:XValidation:rule="(has(self.targets) && size(self.targets) > 0) || (has(self.endpoints) && size(self.endpoints) > 0)",message="targets or endpoints must say where the hosts lead"
// +kubebuilder:validation:XValidation:rule="(has(self.hosts) && size(self.hosts) > 0) || (has(self.targets) && size(self.targets) > 0)",message="hosts must not be empty unless targets have hosts of their own"
type GlobalRouteSpec struct {
	// hosts are DNS names without a final dot; the first label may be *. Empty:
	// those of the targets (an Ingress' rules, a Gateway's listeners, the
	// annotation external-dns.kubernetes.io/hostname).
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^(\*\.)?([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?$`
	// +optional
	Hosts []string `json:"hosts,omitempty"`
	// targets are objects of this namespace at the hub, which the clusters give
	// addresses to.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Targets []RouteTarget `json:"targets,omitempty"`
	// endpoints are addresses that no object has, by cluster.
	// +listType=map
	// +listMapKey=cluster
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Endpoints []RouteEndpoint `json:"endpoints,omitempty"`
	// routing says which cluster suits whom; empty: the nearest.
	// +optional
	Routing Routing `json:"routing,omitempty"`
	// ttl of the answers in seconds; 0: 30, or that of the annotation
	// external-dns.kubernetes.io/ttl of the target.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	// +optional
	TTL int32 `json:"ttl,omitempty"`
	// healthCheck is how the public addresses are probed.
	// +optional
	HealthCheck HealthCheck `json:"healthCheck,omitempty"`
	// minHealthy is how many of a cluster's addresses, as a number or as a
	// percentage, have to pass for the cluster to be in the answers; empty: 1.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^(100|[1-9]?[0-9])%$')",message="minHealthy must be a number from 1 or a percentage from 0% to 100%"
	// +optional
	MinHealthy *intstr.IntOrString `json:"minHealthy,omitempty"`
	// whenAllDown is what to answer when no cluster is healthy.
	// +kubebuilder:validation:Enum=All;Default;Nothing
	// +optional
	WhenAllDown string `json:"whenAllDown,omitempty"`
}

// Values of WhenAllDown.
const (
	AllDownAll     = "All"     // all clusters, healthy or not: the hub may be wrong. The default
	AllDownDefault = "Default" // the clusters of routing.default
	AllDownNothing = "Nothing" // the name exists and has no addresses
)

// RouteTarget names an object beside the GlobalRoute.
type RouteTarget struct {
	// kind is Ingress, Service or Gateway (of gateway.networking.k8s.io).
	// +kubebuilder:validation:Enum=Ingress;Service;Gateway
	// +required
	Kind string `json:"kind"`
	// name is the object's.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}

// RouteEndpoint is where a cluster is reached from outside.
//
// +kubebuilder:validation:XValidation:rule="has(self.hostname) != (has(self.addresses) && size(self.addresses) > 0)",message="either addresses or hostname"
type RouteEndpoint struct {
	// cluster is the name of the Cluster that the addresses are of.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Cluster string `json:"cluster"`
	// addresses are IPv4 and IPv6 addresses.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:items:XValidation:rule="isIP(self)",message="must be an IP address"
	// +optional
	Addresses []string `json:"addresses,omitempty"`
	// hostname is a name that another DNS server knows the addresses of.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Hostname string `json:"hostname,omitempty"`
}

// Routing is how a cluster is chosen for a client. Clusters that are not healthy
// are skipped.
//
// +kubebuilder:validation:XValidation:rule="!has(self.weights) || self.weights.exists(c, self.weights[c] > 0)",message="weights must not all be 0"
// +kubebuilder:validation:XValidation:rule="!has(self.policy) || self.policy != 'Weighted' || has(self.weights)",message="policy Weighted needs weights"
// +kubebuilder:validation:XValidation:rule="!has(self.policy) || self.policy != 'Failover' || has(self.order)",message="policy Failover needs order"
// +kubebuilder:validation:XValidation:rule="!has(self.policy) || self.policy != 'Latency' || has(self.latency)",message="policy Latency needs latency"
type Routing struct {
	// policy is Geography, Weighted, Failover, Latency or All; empty: the one
	// whose field is set, or else Geography.
	// +kubebuilder:validation:Enum=Geography;Weighted;Failover;Latency;All
	// +optional
	Policy string `json:"policy,omitempty"`
	// geography gives places their clusters. The most specific rule wins. Places
	// that it does not name get default, or without one the nearest; when the
	// clusters of a rule are down, so do its places.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	// +optional
	Geography []GeographyRule `json:"geography,omitempty"`
	// weights are the shares of the answers, by cluster. 0, or not listed: none
	// as long as a weighted cluster is healthy.
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:validation:XValidation:rule="self.all(c, self[c] >= 0 && self[c] <= 1000000)",message="weights must be from 0 to 1000000"
	// +optional
	Weights map[string]int32 `json:"weights,omitempty"`
	// order is the clusters in order of preference.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Order []string `json:"order,omitempty"`
	// latency is a table of round-trip times from places to clusters; the
	// healthy cluster with the lowest answers.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=512
	// +optional
	Latency []LatencyRule `json:"latency,omitempty"`
	// default is the clusters, in order of preference, for clients whose place is
	// not known, or has no rule where there are some. Empty: all healthy clusters
	// where the place is not known.
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Default []string `json:"default,omitempty"`
}

// Policies of Routing.
const (
	RoutingGeography = "Geography"
	RoutingWeighted  = "Weighted"
	RoutingFailover  = "Failover"
	RoutingLatency   = "Latency"
	RoutingAll       = "All"
)

// Origin is where a client is, in one of three ways; the zero Origin is
// everywhere.
//
// +kubebuilder:validation:XValidation:rule="[has(self.continent), has(self.country), has(self.subdivision)].filter(x, x).size() <= 1",message="only one of continent, country and subdivision"
type Origin struct {
	// continent is AF, AN, AS, EU, NA, OC or SA.
	// +kubebuilder:validation:Enum=AF;AN;AS;EU;NA;OC;SA
	// +optional
	Continent string `json:"continent,omitempty"`
	// country is an ISO 3166-1 code of two letters, as FR.
	// +kubebuilder:validation:Pattern=`^[A-Z]{2}$`
	// +optional
	Country string `json:"country,omitempty"`
	// subdivision is an ISO 3166-2 code, as US-NY. It needs a geographic database
	// that knows subdivisions; the one in the binary knows countries.
	// +kubebuilder:validation:Pattern=`^[A-Z]{2}-[A-Z0-9]{1,3}$`
	// +optional
	Subdivision string `json:"subdivision,omitempty"`
}

// GeographyRule gives the clients of a place their clusters.
type GeographyRule struct {
	Origin `json:",inline"`
	// clusters in order of preference.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +required
	Clusters []string `json:"clusters"`
}

// LatencyRule is how far the clusters are from a place.
type LatencyRule struct {
	Origin `json:",inline"`
	// milliseconds by cluster.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=256
	// +required
	Milliseconds map[string]int32 `json:"milliseconds"`
}

// HealthCheck is how an address is probed from outside.
//
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || (duration(self.interval) >= duration('1s') && duration(self.interval) <= duration('1h'))",message="interval must be from 1s to 1h"
// +kubebuilder:validation:XValidation:rule="!has(self.timeout) || (duration(self.timeout) > duration('0s') && duration(self.timeout) <= duration('1m'))",message="timeout must be more than 0s and at most 1m"
type HealthCheck struct {
	// protocol is HTTP, HTTPS, TCP or None; empty: HTTP for an Ingress or Gateway
	// (HTTPS if its host has a certificate and no path says otherwise), TCP for
	// a Service or endpoints.
	// +kubebuilder:validation:Enum=HTTP;HTTPS;TCP;None
	// +optional
	Protocol string `json:"protocol,omitempty"`
	// path of the request; empty: /.
	// +kubebuilder:validation:Pattern=`^/[!-~]*$`
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Path string `json:"path,omitempty"`
	// host of the request and of TLS, and of the certificate; empty: each host of the
	// route is asked for, a wildcard as hanse-health.DOMAIN.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._-]+$`
	// +optional
	Host string `json:"host,omitempty"`
	// port is the one that is probed; 0: 80 for HTTP, 443 for HTTPS, the Service's first for TCP.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`
	// expectedStatus is codes and ranges, as 200-399 (the default) or 200,204.
	// +kubebuilder:validation:Pattern=`^[1-5][0-9]{2}(-[1-5][0-9]{2})?(,[1-5][0-9]{2}(-[1-5][0-9]{2})?)*$`
	// +kubebuilder:validation:MaxLength=256
	// +optional
	ExpectedStatus string `json:"expectedStatus,omitempty"`
	// expectedText must be within the first 5120 bytes of the body. It counts only at
	// addresses that a cluster has given to a target, asked for by one of the route's own
	// hosts: nobody is to learn by it what is said to the hub alone.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	ExpectedText string `json:"expectedText,omitempty"`
	// tlsVerification of HTTPS is Full (the default): an address whose certificate has
	// expired, is for another name, or is signed by nobody whom the hub's machine
	// trusts, is down, as it is for users; or None: any certificate will do, so that
	// only whether it answers counts. None makes nothing less safe but the verdict: a
	// probe sends no secret.
	// +kubebuilder:validation:Enum=Full;None
	// +optional
	TLSVerification string `json:"tlsVerification,omitempty"`
	// interval between two probes, from 1s to 1h, as 10s or 1m30s; empty: 10s.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`
	// timeout of a probe, at most 1m; empty: 4s, or the interval if that is shorter.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// down is how many probes in a row must fail for an address to be down; 0: 3.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	Down int32 `json:"down,omitempty"`
	// up is how many probes in a row must pass for it to be up again; 0: 2.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	Up int32 `json:"up,omitempty"`
}

// Values of TLSVerification.
const (
	TLSVerificationFull = "Full"
	TLSVerificationNone = "None"
)

// AnnotationTLSVerification, on what a GlobalRoute is made from, becomes its
// spec.healthCheck.tlsVerification.
const AnnotationTLSVerification = "hanse.dev/tls-verification"

// GlobalRouteStatus is how the route is doing.
type GlobalRouteStatus struct {
	// observedGeneration is the generation of the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary is what the columns of kubectl get show.
	// +optional
	Summary RouteSummary `json:"summary,omitempty"`
	// conditions are Accepted (the spec is valid) and Ready (all hosts are answered).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// hosts has an entry for each hostname.
	// +listType=map
	// +listMapKey=name
	// +optional
	Hosts []RouteHost `json:"hosts,omitempty"`
	// clusters has an entry for each cluster that the route could lead to.
	// +listType=map
	// +listMapKey=name
	// +optional
	Clusters []RouteCluster `json:"clusters,omitempty"`
	// lastValid is the spec that is in effect: the last that could be understood, unless it
	// is very large. The hub goes by it when it finds one that it cannot understand.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	LastValid *runtime.RawExtension `json:"lastValid,omitempty"`
}

// Condition types of a GlobalRoute.
const (
	// ConditionAccepted is False when the spec names what there is not, or what
	// another route has, or what its namespace may not have. Its reason is one of
	// Reason…, Invalid or UnknownCluster.
	ConditionAccepted = "Accepted"
)

// Reasons for which a host of a GlobalRoute is not answered.
const (
	// ReasonNotAllowedByZone: the DNSZone's allowedRoutes do not have the namespace, or the name.
	ReasonNotAllowedByZone = "NotAllowedByZone"
	// ReasonNameReserved: the name is the zone's own, such as a name server's.
	ReasonNameReserved = "NameReserved"
	// ReasonHostTaken: another GlobalRoute has the name, or one that it is below, or had
	// it until not long ago.
	ReasonHostTaken = "HostTaken"
	// ReasonNoMatchingZone: no DNSZone has the name, and none may be made for it.
	ReasonNoMatchingZone = "NoMatchingZone"
	// ReasonTooManyHosts: the namespace has as many names as one may have.
	ReasonTooManyHosts = "TooManyHosts"
)

// RouteSummary is a GlobalRoute in a line.
type RouteSummary struct {
	// hosts are the hostnames, at most three, and how many more.
	// +optional
	Hosts string `json:"hosts,omitempty"`
	// routing is the policy.
	// +optional
	Routing string `json:"routing,omitempty"`
	// healthy is healthy/all clusters.
	// +optional
	Healthy string `json:"healthy,omitempty"`
}

// RouteHost is one hostname of a route.
type RouteHost struct {
	// name is the host.
	// +required
	Name string `json:"name"`
	// zone is the DNSZone that it is in.
	// +optional
	Zone string `json:"zone,omitempty"`
	// answered says whether the name is served, or has been taken over by the
	// zone's provider.
	// +required
	Answered bool `json:"answered"`
	// clusters are those that are healthy, for this host.
	// +listType=atomic
	// +optional
	Clusters []string `json:"clusters,omitempty"`
	// message is why it is not.
	// +optional
	Message string `json:"message,omitempty"`
}

// RouteCluster is a cluster that a route could lead to.
type RouteCluster struct {
	// name is the Cluster's.
	// +required
	Name string `json:"name"`
	// addresses and hostnames are where it is reached.
	// +listType=atomic
	// +optional
	Addresses []string `json:"addresses,omitempty"`
	// hostnames are those of its load balancers.
	// +listType=atomic
	// +optional
	Hostnames []string `json:"hostnames,omitempty"`
	// healthy says whether it is in the answers of all hosts.
	// +required
	Healthy bool `json:"healthy"`
	// since is when healthy became what it is.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// inside is what the member's endpoints say.
	// +optional
	Inside *RouteHealth `json:"inside,omitempty"`
	// outside is what the probes of its addresses say.
	// +optional
	Outside *RouteHealth `json:"outside,omitempty"`
	// share is its part of the world's answers, as 31%: of the world's IPv4
	// networks for geography and latency, of the answers for weights.
	// +optional
	Share string `json:"share,omitempty"`
}

// RouteHealth is what one side says of a cluster.
type RouteHealth struct {
	// state is Up, Down, or Unknown: not asked yet, or nobody to ask.
	// +kubebuilder:validation:Enum=Up;Down;Unknown
	// +required
	State string `json:"state"`
	// message is why, in a line.
	// +optional
	Message string `json:"message,omitempty"`
	// since is when state became what it is.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// States of a RouteHealth.
const (
	HealthUp      = "Up"
	HealthDown    = "Down"
	HealthUnknown = "Unknown"
)

// GlobalRouteList is a list of GlobalRoutes.
//
// +kubebuilder:object:root=true
type GlobalRouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GlobalRoute `json:"items"`
}
