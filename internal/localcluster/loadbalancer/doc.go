// Package loadbalancer stands in for a cloud's load balancers in a local cluster: every Service of type LoadBalancer gets
// a loopback address of its own, all Ingresses share one, and what listens there answers HTTP and HTTPS with the names of
// the cluster, the Service and one of its ready pods. It answers as the cluster's objects say (EndpointSlices, hosts,
// paths), so that curl and health checks have something true to talk to, although no pod runs.
package loadbalancer
