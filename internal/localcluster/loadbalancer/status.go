package loadbalancer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// AnnotationPortOffset, on a Service or Ingress, says what to add to its ports below 1024 in order to reach them:
	// listening there would need root.
	AnnotationPortOffset = "hanse.dev/port-offset"
	// PortOffset is its value.
	PortOffset = 20000
	// privilegedPorts end below it.
	privilegedPorts = 1024
	// fieldManager owns what is written.
	fieldManager = "hanse-local"
)

// moved is the port on which a load balancer's port really is.
func moved(port int32) int32 {
	if port < privilegedPorts {
		return port + PortOffset
	}
	return port
}

// servicePorts are the ports as the Service's status shows them: where they really are.
func servicePorts(service *corev1.Service) []corev1.PortStatus {
	var ports []corev1.PortStatus
	for _, p := range service.Spec.Ports {
		ports = append(ports, corev1.PortStatus{Port: moved(p.Port), Protocol: p.Protocol})
	}
	return ports
}

// ingressPorts are those of HTTP and HTTPS, whatever an Ingress says.
func ingressPorts() []corev1.PortStatus {
	return []corev1.PortStatus{{Port: moved(80), Protocol: corev1.ProtocolTCP}, {Port: moved(443), Protocol: corev1.ProtocolTCP}}
}

// listenPorts are the ports that can answer HTTP. Other protocols have an address, and nobody behind it.
func listenPorts(ports []corev1.PortStatus) []int32 {
	var result []int32
	for _, p := range ports {
		if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
			result = append(result, p.Port)
		}
	}
	return result
}

// writeService writes what is not there yet: a restart rewrites nothing.
func (b *balancer) writeService(ctx context.Context, service *corev1.Service, address netip.Addr) error {
	ports := servicePorts(service)
	offset := slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port < privilegedPorts })
	have := service.Status.LoadBalancer.Ingress
	if len(have) == 1 && have[0].IP == address.String() && reflect.DeepEqual(have[0].Ports, ports) && annotated(service, offset) {
		return nil
	}
	patch, err := statusPatch(offset, corev1.LoadBalancerIngress{IP: address.String(), Ports: ports})
	if err != nil {
		return err
	}
	_, err = b.Client.CoreV1().Services(service.Namespace).Patch(ctx, service.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if err != nil {
		return fmt.Errorf("write the address of service %s/%s: %w", service.Namespace, service.Name, err)
	}
	return nil
}

func (b *balancer) writeIngress(ctx context.Context, ingress *networkingv1.Ingress) error {
	address := b.Network.ingress().String()
	want := networkingv1.IngressLoadBalancerIngress{IP: address}
	for _, p := range ingressPorts() {
		want.Ports = append(want.Ports, networkingv1.IngressPortStatus{Port: p.Port, Protocol: p.Protocol})
	}
	have := ingress.Status.LoadBalancer.Ingress
	if len(have) == 1 && reflect.DeepEqual(have[0], want) && annotated(ingress, true) {
		return nil
	}
	patch, err := statusPatch(true, want)
	if err != nil {
		return err
	}
	_, err = b.Client.NetworkingV1().Ingresses(ingress.Namespace).Patch(ctx, ingress.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if err != nil {
		return fmt.Errorf("write the address of ingress %s/%s: %w", ingress.Namespace, ingress.Name, err)
	}
	return nil
}

// annotated says whether the object has the annotation exactly if it should.
func annotated(object metav1.Object, want bool) bool {
	value, have := object.GetAnnotations()[AnnotationPortOffset]
	return have == want && (!want || value == strconv.Itoa(PortOffset))
}

// statusPatch sets address and annotation in one write: a status may be written with metadata.
func statusPatch[T corev1.LoadBalancerIngress | networkingv1.IngressLoadBalancerIngress](offset bool, at T) ([]byte, error) {
	annotations := map[string]any{AnnotationPortOffset: nil}
	if offset {
		annotations[AnnotationPortOffset] = strconv.Itoa(PortOffset)
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": annotations},
		"status":   map[string]any{"loadBalancer": map[string]any{"ingress": []T{at}}},
	})
}
