package fault

import (
	"net/http"
	"slices"

	orielv1 "oriel/protocol/oriel/v1"
)

// Code is what programs tell faults apart by.
type Code string

// Codes of requests, whatever they ask for.
const (
	Internal         Code = "internal"
	Overloaded       Code = "overloaded"
	Invalid          Code = "invalid"
	Malformed        Code = "malformed"
	NoRoute          Code = "no_route"
	MethodNotAllowed Code = "method_not_allowed"
	NotAcceptable    Code = "not_acceptable"
	Timeout          Code = "timeout"
	TooLarge         Code = "too_large"
	MediaType        Code = "unsupported_media_type"
	CrossOrigin      Code = "cross_origin"
	NoUpgrade        Code = "no_upgrade"
	Draining         Code = "draining"
	Cursor           Code = "cursor"
	MetricsToken     Code = "metrics_token"
	NoFile           Code = "no_file"
	ReadOnly         Code = "read_only"
	KeyReused        Code = "idempotency_key_reused"
	KeyInUse         Code = "idempotency_key_in_use"
	TooMany          Code = "too_many_requests"
)

// Codes of people and what they may.
const (
	SignedOut      Code = "unauthorized"
	Forbidden      Code = "forbidden"
	NeedsApproval  Code = "needs_approval"
	BadCredentials Code = "bad_credentials"
	OwnerExists    Code = "owner_exists"
	OwnerToken     Code = "owner_token"
	Invitation     Code = "invitation"
	AccountExists  Code = "account_exists"
	MemberAlready  Code = "member_already"
	RecoveryToken  Code = "recovery_token"
	TooManyTries   Code = "too_many_tries"
	SignInsBusy    Code = "busy"
	TooManyTabs    Code = "too_many_tabs"
	Address        Code = "address_not_allowed"
	SignUpClosed   Code = "sign_up_closed"
	SignUpLink     Code = "sign_up_link"
	StaffDomain    Code = "staff_domain"
	EmailLink      Code = "email_link"
	NoMailServer   Code = "no_mail_server"
)

// Codes of what is kept.
const (
	NotFound          Code = "not_found"
	Conflict          Code = "conflict"
	Ended             Code = "ended"
	Unavailable       Code = "unavailable"
	DiskFull          Code = "disk_full"
	NodesApart        Code = "nodes_apart"
	LastOwner         Code = "last_owner"
	LimitReached      Code = "limit_reached"
	Quota             Code = "quota"
	InUse             Code = "in_use"
	LastIdentifier    Code = "last_identifier"
	GroupTree         Code = "group_tree"
	Gives             Code = "gives"
	OwnAccess         Code = "own_access"
	NoApproval        Code = "no_approval"
	WhichOrganization Code = "which_organization"
)

// Codes of computers and sessions on them.
const (
	Offline         Code = "offline"
	NoAnswer        Code = "no_answer"
	Agent           Code = "agent"
	Unimplemented   Code = "unimplemented"
	Blocked         Code = "blocked"
	TwoMachines     Code = "two_machines"
	NoPreview       Code = "no_preview"
	TooManySessions Code = "too_many_sessions"
	Offer           Code = "offer"
	SessionScopes   Code = "session_scopes"
	SessionMoved    Code = "session_moved"
	TicketUsed      Code = "ticket_used"
	SessionChanging Code = "session_changing"
)

// Codes that only agents are told.
const (
	Unnamed      Code = "unnamed"
	NotEnrolled  Code = "not_enrolled"
	Removed      Code = "removed"
	Waiting      Code = "waiting"
	Greetings    Code = "greetings"
	Superseded   Code = "superseded"
	NoHello      Code = "no_hello"
	TooOld       Code = "too_old"
	OtherHello   Code = "other_hello"
	Unproved     Code = "unproved"
	UnprovedPass Code = "unproved_token"
	NewIdentity  Code = "new_identity"
	BadAnswer    Code = "bad_answer"
	Unreached    Code = "unreached"
	AgentBusy    Code = "agent_busy"
)

// row is what a code is at each door.
type row struct {
	status int
	wire   orielv1.Code
	final  bool // an agent is told the same again
	agents bool // no person meets it
}

var table = map[Code]row{
	Internal:         {status: http.StatusInternalServerError, wire: orielv1.Code_CODE_INTERNAL},
	Overloaded:       {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_UNAVAILABLE},
	Invalid:          {status: http.StatusUnprocessableEntity, wire: orielv1.Code_CODE_INVALID},
	Malformed:        {status: http.StatusBadRequest, wire: orielv1.Code_CODE_INVALID},
	NoRoute:          {status: http.StatusNotFound, wire: orielv1.Code_CODE_UNIMPLEMENTED},
	MethodNotAllowed: {status: http.StatusMethodNotAllowed, wire: orielv1.Code_CODE_UNIMPLEMENTED},
	NotAcceptable:    {status: http.StatusNotAcceptable, wire: orielv1.Code_CODE_INVALID},
	Timeout:          {status: http.StatusRequestTimeout, wire: orielv1.Code_CODE_UNAVAILABLE},
	TooLarge:         {status: http.StatusRequestEntityTooLarge, wire: orielv1.Code_CODE_INVALID},
	MediaType:        {status: http.StatusUnsupportedMediaType, wire: orielv1.Code_CODE_INVALID},
	CrossOrigin:      {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	NoUpgrade:        {status: http.StatusBadRequest, wire: orielv1.Code_CODE_INVALID},
	Draining:         {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_UNAVAILABLE},
	Cursor:           {status: http.StatusBadRequest, wire: orielv1.Code_CODE_INVALID},
	MetricsToken:     {status: http.StatusUnauthorized, wire: orielv1.Code_CODE_FORBIDDEN},
	NoFile:           {status: http.StatusNotFound, wire: orielv1.Code_CODE_NOT_FOUND},
	ReadOnly:         {status: http.StatusMethodNotAllowed, wire: orielv1.Code_CODE_UNIMPLEMENTED},
	KeyReused:        {status: http.StatusUnprocessableEntity, wire: orielv1.Code_CODE_INVALID},
	KeyInUse:         {status: http.StatusConflict, wire: orielv1.Code_CODE_BUSY},
	TooMany:          {status: http.StatusTooManyRequests, wire: orielv1.Code_CODE_BUSY},

	SignedOut:      {status: http.StatusUnauthorized, wire: orielv1.Code_CODE_FORBIDDEN},
	Forbidden:      {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	NeedsApproval:  {status: http.StatusForbidden, wire: orielv1.Code_CODE_NEEDS_APPROVAL},
	BadCredentials: {status: http.StatusUnauthorized, wire: orielv1.Code_CODE_FORBIDDEN},
	OwnerExists:    {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	OwnerToken:     {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	Invitation:     {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	AccountExists:  {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	MemberAlready:  {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	RecoveryToken:  {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	TooManyTries:   {status: http.StatusTooManyRequests, wire: orielv1.Code_CODE_BUSY},
	SignInsBusy:    {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_BUSY},
	Address:        {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	TooManyTabs:    {status: http.StatusTooManyRequests, wire: orielv1.Code_CODE_BUSY},
	SignUpClosed:   {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	SignUpLink:     {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	EmailLink:      {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	StaffDomain:    {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	NoMailServer:   {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},

	NotFound:          {status: http.StatusNotFound, wire: orielv1.Code_CODE_NOT_FOUND},
	Conflict:          {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	Ended:             {status: http.StatusConflict, wire: orielv1.Code_CODE_NOT_FOUND},
	Unavailable:       {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_UNAVAILABLE},
	DiskFull:          {status: http.StatusInsufficientStorage, wire: orielv1.Code_CODE_UNAVAILABLE},
	NodesApart:        {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_UNAVAILABLE},
	LastOwner:         {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	LimitReached:      {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	LastIdentifier:    {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	Quota:             {status: http.StatusConflict, wire: orielv1.Code_CODE_QUOTA},
	InUse:             {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	Gives:             {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	OwnAccess:         {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	NoApproval:        {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN},
	WhichOrganization: {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},
	GroupTree:         {status: http.StatusConflict, wire: orielv1.Code_CODE_INVALID},

	Offline:         {status: http.StatusConflict, wire: orielv1.Code_CODE_UNAVAILABLE},
	NoAnswer:        {status: http.StatusGatewayTimeout, wire: orielv1.Code_CODE_UNAVAILABLE},
	Agent:           {status: http.StatusBadGateway, wire: orielv1.Code_CODE_INTERNAL},
	Unimplemented:   {status: http.StatusNotImplemented, wire: orielv1.Code_CODE_UNIMPLEMENTED},
	Blocked:         {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN, final: true},
	TwoMachines:     {status: http.StatusConflict, wire: orielv1.Code_CODE_TWO_MACHINES},
	NoPreview:       {status: http.StatusNotFound, wire: orielv1.Code_CODE_NOT_FOUND},
	TooManySessions: {status: http.StatusTooManyRequests, wire: orielv1.Code_CODE_BUSY},
	Offer:           {status: http.StatusUnprocessableEntity, wire: orielv1.Code_CODE_INVALID},
	SessionScopes:   {status: http.StatusUnprocessableEntity, wire: orielv1.Code_CODE_INVALID},
	SessionMoved:    {status: http.StatusConflict, wire: orielv1.Code_CODE_BUSY},
	TicketUsed:      {status: http.StatusConflict, wire: orielv1.Code_CODE_BUSY},
	SessionChanging: {status: http.StatusConflict, wire: orielv1.Code_CODE_BUSY},

	Unnamed:      {status: http.StatusUnauthorized, wire: orielv1.Code_CODE_FORBIDDEN, final: true, agents: true},
	NotEnrolled:  {status: http.StatusUnauthorized, wire: orielv1.Code_CODE_FORBIDDEN, final: true, agents: true},
	Removed:      {status: http.StatusNotFound, wire: orielv1.Code_CODE_NOT_FOUND, final: true, agents: true},
	Waiting:      {status: http.StatusNotFound, wire: orielv1.Code_CODE_NOT_FOUND, agents: true},
	Greetings:    {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_BUSY, agents: true},
	Superseded:   {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_BUSY, agents: true},
	NoHello:      {status: http.StatusBadRequest, wire: orielv1.Code_CODE_INVALID, final: true, agents: true},
	TooOld:       {status: http.StatusUpgradeRequired, wire: orielv1.Code_CODE_UNIMPLEMENTED, final: true, agents: true},
	OtherHello:   {status: http.StatusBadRequest, wire: orielv1.Code_CODE_INVALID, final: true, agents: true},
	Unproved:     {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN, agents: true},
	UnprovedPass: {status: http.StatusForbidden, wire: orielv1.Code_CODE_FORBIDDEN, final: true, agents: true},
	NewIdentity:  {status: http.StatusConflict, wire: orielv1.Code_CODE_TWO_MACHINES, agents: true},
	BadAnswer:    {status: http.StatusBadGateway, wire: orielv1.Code_CODE_INVALID, agents: true},
	Unreached:    {status: http.StatusBadGateway, wire: orielv1.Code_CODE_UNAVAILABLE, agents: true},
	AgentBusy:    {status: http.StatusServiceUnavailable, wire: orielv1.Code_CODE_BUSY, agents: true},
}

// Codes are those that people meet, in order: each has its words in the console.
func Codes() []Code {
	var all []Code
	for code, r := range table {
		if !r.agents {
			all = append(all, code)
		}
	}
	slices.Sort(all)
	return all
}
