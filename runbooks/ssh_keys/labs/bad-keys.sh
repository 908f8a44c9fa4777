#!/bin/sh
# Keys as they gather over the years, each with a fault of its own, and an sshd that somebody made to "just work".
. "$(dirname "$0")/common.sh"
sshd_config 'PasswordAuthentication yes' 'PermitRootLogin yes' 'PermitEmptyPasswords yes' 'StrictModes no' \
    'PubkeyAcceptedAlgorithms +ssh-rsa'
mkdir -m 777 $keys
# Not by the umask, which mkdir -m heeds no more than chmod does, but a lab's may be any.
chmod 777 $keys

key short '' -t rsa -b 1024
key old 'a passphrase' -t rsa -b 2048 -m PEM
key curve 'a passphrase' -t ecdsa -a 100
key readable 'a passphrase' -t ed25519 -a 100
chmod 644 $keys/readable
key signed 'a passphrase' -t ed25519 -a 100
key signer '' -t ed25519
ssh-keygen -q -s $keys/signer -I 'last year' -n alice -V 20240101:20240201 $keys/signed.pub
key any 'a passphrase' -t ed25519 -a 100
ssh-keygen -q -s $keys/signer -I 'for everybody' $keys/any.pub
rm $keys/signer $keys/signer.pub

# A DSA key cannot be made by a newer ssh-keygen; this public one was made for this lab, and its private part thrown away.
{
    cat $keys/short.pub
    cat $keys/short.pub
    echo 'ssh-dss AAAAB3NzaC1kc3MAAACBAKYXzcKbUtQ9fvYX7uBuxt0y5wCk7ciKbHVCNdqcUgQmyX43kumyviBWr9Kvgjt/89sw/Jviwm9CxDlbTbrFUXRcpAu4512W7yCCPMWDPCBZLTZ33PwG9s2eOCx1q6Ky+KXYHKyox3WtFl4pEOOfkfHYGTyeOaD/McZ40PNHPeUPAAAAFQCI+E/PIGrGr5i48lcfpsa1mbWnDQAAAIBSTWJq8lkbMjJkJuxaVm0i+7BxmcdFWAE0fL85CZtvuWtEACdmhTdxj/Hf26Cir5mX/7Axtyn9mcb4046ivlgdBPOVdilWcLdlPFQE0SV2BXbQ+iMVqbu40YwuoZin/bMPJYmRnHR5oX6nak6VunIRnHFeNoyNFkj0mILk6FgOlwAAAIB3RnmRF2sEgBp+Mr/6t394EB1AWpXsCUi7z/OdOPBTe+Mti3RLZ65RhvJwS9xVwrVkU0MZLQs9Gmk2oWPMFeRVT9wChPfnGe/Oe4XoWcd7TMO+m88OybzO827weBnwbVUwYs4vhsElrp5bubu+OiDHd6KWkvnGM15TUgUIWy2yhA== dsa'
    echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIbroken-in-two-by-an-editor'
} >$keys/authorized_keys
chmod 666 $keys/authorized_keys
