package node

// OtherTURN counts the other nodes whose TURN n would name.
func OtherTURN(n *Node) int { return len(n.others.get(n.nodeName, nil)) }
