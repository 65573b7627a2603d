package turn

import (
	"net"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

type turnMethod = stun.Method

const (
	allocate = stun.MethodAllocate
	refresh  = stun.MethodRefresh
)

func request(user string, client net.Addr, m turnMethod) *turn.RequestAttributes {
	return &turn.RequestAttributes{Username: user, Realm: "oriel", SrcAddr: client, Method: m}
}
