package route53test

import "encoding/xml"

// The documents of the API, as its reference describes them.

type errorResponse struct {
	XMLName   xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

type invalidChangeBatch struct {
	XMLName   xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ InvalidChangeBatch"`
	Messages  []string `xml:"Messages>Message"`
	RequestID string   `xml:"RequestId"`
}

// RecordSet is a resource record set.
type RecordSet struct {
	Name          string       `xml:"Name"`
	Type          string       `xml:"Type"`
	SetIdentifier string       `xml:"SetIdentifier,omitempty"`
	Weight        *int64       `xml:"Weight"`
	Region        string       `xml:"Region,omitempty"`
	GeoLocation   *GeoLocation `xml:"GeoLocation"`
	Failover      string       `xml:"Failover,omitempty"`
	MultiValue    bool         `xml:"MultiValueAnswer,omitempty"`
	TTL           *int64       `xml:"TTL"`
	Values        Values       `xml:"ResourceRecords,omitempty"`
	AliasTarget   *AliasTarget `xml:"AliasTarget"`
	HealthCheckID string       `xml:"HealthCheckId,omitempty"`
}

// Values of a RecordSet, each of which is an element in an element of its own.
type Values []string

type records struct {
	Records []record `xml:"ResourceRecord"`
}

type record struct {
	Value string `xml:"Value"`
}

// MarshalXML writes them.
func (v Values) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	var r records
	for _, value := range v {
		r.Records = append(r.Records, record{value})
	}
	return e.EncodeElement(r, start)
}

// UnmarshalXML reads them.
func (v *Values) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var r records
	if err := d.DecodeElement(&r, &start); err != nil {
		return err
	}
	for _, record := range r.Records {
		*v = append(*v, record.Value)
	}
	return nil
}

// GeoLocation of a RecordSet.
type GeoLocation struct {
	ContinentCode   string `xml:"ContinentCode,omitempty"`
	CountryCode     string `xml:"CountryCode,omitempty"`
	SubdivisionCode string `xml:"SubdivisionCode,omitempty"`
}

// AliasTarget of a RecordSet.
type AliasTarget struct {
	HostedZoneID         string `xml:"HostedZoneId"`
	DNSName              string `xml:"DNSName"`
	EvaluateTargetHealth bool   `xml:"EvaluateTargetHealth"`
}

type changeRequest struct {
	Changes []change `xml:"ChangeBatch>Changes>Change"`
}

type change struct {
	Action string    `xml:"Action"`
	Set    RecordSet `xml:"ResourceRecordSet"`
}

type changeInfo struct {
	ID          string `xml:"Id"`
	Status      string `xml:"Status"`
	SubmittedAt string `xml:"SubmittedAt"`
}

type changeResponse struct {
	XMLName    xml.Name   `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsResponse"`
	ChangeInfo changeInfo `xml:"ChangeInfo"`
}

type getChangeResponse struct {
	XMLName    xml.Name   `xml:"https://route53.amazonaws.com/doc/2013-04-01/ GetChangeResponse"`
	ChangeInfo changeInfo `xml:"ChangeInfo"`
}

type recordList struct {
	XMLName     xml.Name    `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
	Sets        []RecordSet `xml:"ResourceRecordSets>ResourceRecordSet"`
	IsTruncated bool        `xml:"IsTruncated"`
	NextName    string      `xml:"NextRecordName,omitempty"`
	NextType    string      `xml:"NextRecordType,omitempty"`
	NextID      string      `xml:"NextRecordIdentifier,omitempty"`
	MaxItems    int         `xml:"MaxItems"`
}

type createZoneRequest struct {
	Name            string `xml:"Name"`
	CallerReference string `xml:"CallerReference"`
	Comment         string `xml:"HostedZoneConfig>Comment"`
	Private         bool   `xml:"HostedZoneConfig>PrivateZone"`
}

type hostedZone struct {
	ID              string `xml:"Id"`
	Name            string `xml:"Name"`
	CallerReference string `xml:"CallerReference"`
	Comment         string `xml:"Config>Comment,omitempty"`
	Private         bool   `xml:"Config>PrivateZone"`
	Count           int    `xml:"ResourceRecordSetCount"`
}

type createZoneResponse struct {
	XMLName     xml.Name   `xml:"https://route53.amazonaws.com/doc/2013-04-01/ CreateHostedZoneResponse"`
	HostedZone  hostedZone `xml:"HostedZone"`
	ChangeInfo  changeInfo `xml:"ChangeInfo"`
	NameServers []string   `xml:"DelegationSet>NameServers>NameServer"`
}

type getZoneResponse struct {
	XMLName     xml.Name   `xml:"https://route53.amazonaws.com/doc/2013-04-01/ GetHostedZoneResponse"`
	HostedZone  hostedZone `xml:"HostedZone"`
	NameServers []string   `xml:"DelegationSet>NameServers>NameServer,omitempty"`
}

type zoneList struct {
	XMLName     xml.Name     `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListHostedZonesByNameResponse"`
	Zones       []hostedZone `xml:"HostedZones>HostedZone"`
	IsTruncated bool         `xml:"IsTruncated"`
	NextName    string       `xml:"NextDNSName,omitempty"`
	NextID      string       `xml:"NextHostedZoneId,omitempty"`
	MaxItems    int          `xml:"MaxItems"`
}

// CheckConfig is what a health check does.
type CheckConfig struct {
	IPAddress          string   `xml:"IPAddress,omitempty"`
	Port               int      `xml:"Port,omitempty"`
	Type               string   `xml:"Type"`
	ResourcePath       string   `xml:"ResourcePath,omitempty"`
	FQDN               string   `xml:"FullyQualifiedDomainName,omitempty"`
	SearchString       string   `xml:"SearchString,omitempty"`
	RequestInterval    int      `xml:"RequestInterval,omitempty"`
	FailureThreshold   int      `xml:"FailureThreshold,omitempty"`
	MeasureLatency     bool     `xml:"MeasureLatency,omitempty"`
	Inverted           bool     `xml:"Inverted,omitempty"`
	Disabled           bool     `xml:"Disabled,omitempty"`
	HealthThreshold    int      `xml:"HealthThreshold,omitempty"`
	ChildHealthChecks  []string `xml:"ChildHealthChecks>ChildHealthCheck,omitempty"`
	EnableSNI          *bool    `xml:"EnableSNI"`
	Regions            []string `xml:"Regions>Region,omitempty"`
	InsufficientHealth string   `xml:"InsufficientDataHealthStatus,omitempty"`
}

type healthCheck struct {
	ID              string      `xml:"Id"`
	CallerReference string      `xml:"CallerReference"`
	Config          CheckConfig `xml:"HealthCheckConfig"`
	Version         int         `xml:"HealthCheckVersion"`
}

type createCheckRequest struct {
	CallerReference string      `xml:"CallerReference"`
	Config          CheckConfig `xml:"HealthCheckConfig"`
}

type createCheckResponse struct {
	XMLName xml.Name    `xml:"https://route53.amazonaws.com/doc/2013-04-01/ CreateHealthCheckResponse"`
	Check   healthCheck `xml:"HealthCheck"`
}

type updateCheckRequest struct {
	CheckConfig
	Version int `xml:"HealthCheckVersion"`
}

type updateCheckResponse struct {
	XMLName xml.Name    `xml:"https://route53.amazonaws.com/doc/2013-04-01/ UpdateHealthCheckResponse"`
	Check   healthCheck `xml:"HealthCheck"`
}

type deleteCheckResponse struct {
	XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ DeleteHealthCheckResponse"`
}

type checkList struct {
	XMLName     xml.Name      `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListHealthChecksResponse"`
	Checks      []healthCheck `xml:"HealthChecks>HealthCheck"`
	Marker      string        `xml:"Marker"`
	IsTruncated bool          `xml:"IsTruncated"`
	NextMarker  string        `xml:"NextMarker,omitempty"`
	MaxItems    int           `xml:"MaxItems"`
}

type tag struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

type changeTagsRequest struct {
	Add    []tag    `xml:"AddTags>Tag"`
	Remove []string `xml:"RemoveTagKeys>Key"`
}

type changeTagsResponse struct {
	XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeTagsForResourceResponse"`
}

type listTagsResponse struct {
	XMLName      xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListTagsForResourceResponse"`
	ResourceType string   `xml:"ResourceTagSet>ResourceType"`
	ResourceID   string   `xml:"ResourceTagSet>ResourceId"`
	Tags         []tag    `xml:"ResourceTagSet>Tags>Tag"`
}
